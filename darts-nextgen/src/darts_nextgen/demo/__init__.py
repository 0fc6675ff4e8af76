"""The demo: the main job on a synthetic PlanetScope scene, with two small networks that come with the package.

===========  ==========================================================================
`sample`     writes the scene's files, as a user has them; knows where the networks are
`overlap`    how well found outlines agree with known ones, over the trusted area
===========  ==========================================================================

The networks show the pipeline at work. They have never seen a real slump and are of no use for mapping real ones: they know
forms, textures and relief of a synthetic Arctic, and their scores, which stand beside them, say how well they know that.
"""
