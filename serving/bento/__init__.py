"""What `serving.service` is made of.

changes         what is changed in BentoML, where it is as expected
lazy_app        the app, created in the worker only
direct_routing  which requests BentoML gets to see
"""
