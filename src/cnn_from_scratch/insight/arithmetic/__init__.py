"""The arithmetic of each kind of layer, term by term, from its definition: what `explain` and `blame` consist of.

Reading order: terms -> window -> convolution -> rules -> receptive_field -> sums.
"""
