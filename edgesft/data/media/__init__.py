"""Pictures and sounds: where a row's file lies, and what a model reads of it, in training and on the device alike.

`image` and `audio` also run on devices: they are files of their own, which import nothing of edgesft.
"""
