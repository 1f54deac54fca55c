"""What `serving.service` is made of.

changes         what is changed in BentoML, where it is as expected
lazy_app        the app, created in the worker only
direct_routing  which requests BentoML gets to see
model           the bundle in BentoML's store of models

batch_limits, batch_body, batch_door, batch_run, batch_store
                batches as BentoML's tasks: limits and body, routes, answers, what BentoML keeps of them
"""
