"""An uploaded motion: read in a folder of the server's own, gone again whatever happens."""

import tempfile
from pathlib import Path

from lead.core.errors import LeadError, RequestError
from lead.data.bvh.parser import read_bvh_header
from lead.inversion import read_recorded_example
from lead.studies.words.exemplars import read_features

SECONDS_MOST = 120.0


def read_upload(data: bytes, name: str, folder: Path, model):
    """Un-normalised features (frames, F) of a BVH or motion file that messages call ``name``.

    Raises RequestError where it is neither, holds no person's skeleton or values that are not
    finite, is longer than two minutes, or cannot be read for whatever reason.
    """
    with tempfile.TemporaryDirectory(dir=folder) as place:
        packed = data.startswith(b"PK")  # as every .npz
        path = Path(place, "upload.npz" if packed else "upload.bvh")
        path.write_bytes(data)
        try:
            if packed:
                return read_features(path, model)
            header = read_bvh_header(path)
            seconds = header.frames * header.frame_time
            if seconds > SECONDS_MOST:
                raise RequestError(
                    f"{name} lasts {seconds:.0f} s: cut out the part that shows the word, "
                    f"{SECONDS_MOST:.0f} s at most"
                )
            return read_recorded_example(path, model.skeleton.name, model.fps)
        except Exception as error:  # numbers beyond all sense make NumPy raise whatever it likes
            reason = str(error) if isinstance(error, LeadError) else f"no motion: {error!r:.200}"
            reason = reason.replace(str(path), name)
            raise RequestError(reason if name in reason else f"{name}: {reason}") from error
