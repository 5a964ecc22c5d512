"""Generators of product pictures: trained, judged beside real photos, and put to work as ads.

`train.start_training` and `review.review` make and judge generators, `pool.fill_pool` and `compose.compose` use them,
`wishes.teach` lets them take captions, and `personalise` searches them for one segment.
"""
