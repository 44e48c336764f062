"""Shape completion: a part of a surface to the whole shape, by the code that agrees best with what was seen.

Source: Park et al. 2019 (DeepSDF), section 6.3.
"""
