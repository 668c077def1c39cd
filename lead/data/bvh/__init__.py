"""BVH motion capture files: reading, kinematics, and the way to the 22 SMPL joints."""
