"""Boxes for clips that have none: an object detector finds road users in frames, a tracker joins them through time, and
the pedestrian and the vehicle of each view are written as the generated boxes of a WTS data set.
"""
