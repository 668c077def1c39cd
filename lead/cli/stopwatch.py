"""Where the time of a command goes."""

import time


class Stopwatch:
    """Seconds of named parts; ``lap`` ends a part, and parts of one name add up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """What happened since the last lap was ``name``."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now

    def breakdown(self) -> str:
        """One line a part, in the order in which they came, with their shares."""
        total = sum(self.seconds.values())
        width = max(map(len, self.seconds), default=0)
        lines = [
            f"  {name:{width}}  {seconds:7.3f} s  {100 * seconds / max(total, 1e-9):3.0f} %"
            for name, seconds in self.seconds.items()
        ]
        return "\n".join([f"{total:.3f} s in all", *lines])
