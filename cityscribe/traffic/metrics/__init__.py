"""What captions of traffic are worth: the profiles `wts` and `coco`, attributes, consistency, baselines."""
