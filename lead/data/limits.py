"""How much one collection may hold, so that no file of it takes the memory or the day.

Each limit is far above what people record, and is named in the message of what exceeds it. Those of
plain files stand in ``lead.core.reading``.
"""

FILES_MOST = 200_000  # of one kind in a folder; HumanML3D has 29,228 clips
HIERARCHY_MOST = 1 << 20  # characters before MOTION; 65 joints take 10,000
LINE_MOST = 1 << 20  # characters; 65 joints with six channels take 5,000
NUMBER_MOST = 1e9  # of an offset or a channel: a thousand kilometres in millimetres
FRAME_TIMES = (1e-5, 10.0)  # seconds
SPEED_MOST = 100.0  # metres a second, of a pelvis
VALUES_MOST = 20_000_000  # numbers in one file: an hour at 30 fps of 60 joints
FRAMES_MOST = 72_000  # of one motion as it is used: an hour at 20 fps
POINTS_MOST = (
    4_000_000  # frames times joints, as it is used: an hour of 55 joints; 1.5 GB on the way
)

UNPACKED_MOST = 4 << 30  # bytes in one archive; Bandai-Namco 2 has 0.6 GB
RATIO_MOST, SMALL = 200, 64 << 20  # unpacked over packed bytes, from this many on; text has 5 to 20
MEMBERS_MOST = 200_000  # files and folders in one archive
READ_MOST = 1 << 20  # bytes of an archive at once
