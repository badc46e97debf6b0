"""What a model says is there and is not: POPE asks about objects, CHAIR reads captions for them.

Both stand on the truth about the objects of each image and on a vocabulary of objects with their synonyms.
"""
