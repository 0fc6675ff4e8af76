"""A synthetic Arctic: terrain, thaw slumps, look-alikes, clouds, and the truth about all of it.

`synthetic_scene` makes a raw tile, its truth, an elevation model and trend composites, consistent with each other and
deterministic for a seed; `write_scene` writes the files that a user would have. The parameters are in
`darts_utils.synthetic.config`; which seeds are for training and which are held out says `darts_utils.synthetic.splits`.

Relief, spectra and sizes are in the range of real data; the pictures are not meant to be taken for real ones. The world is
meant to be hard in the way the Arctic is: bare, wet, sunken ground is common, and form and context tell what a slump is, a
tongue down the slope with a headwall and an open toe. Surfaces, stripes and dark rims are drawn for slumps and look-alikes
alike.
"""

from darts_utils.synthetic.config import LOOKALIKE_CLASSES, WORLD, WORLD_VERSION
from darts_utils.synthetic.scene import SyntheticScene, synthetic_scene
from darts_utils.synthetic.splits import DEMO_SEED, SceneSpec, scene_specs
from darts_utils.synthetic.writing import ScenePaths, write_scene

__all__ = [
    "DEMO_SEED",
    "LOOKALIKE_CLASSES",
    "WORLD",
    "WORLD_VERSION",
    "ScenePaths",
    "SceneSpec",
    "SyntheticScene",
    "scene_specs",
    "synthetic_scene",
    "write_scene",
]
