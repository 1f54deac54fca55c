"""The HTTP surface: a plain ASGI app. uvicorn runs it, BentoML mounts it, the Lambda handler calls it, all as it is.

    application   routes to endpoints, start and end
    surface       what the endpoints share: the models that answer, the metrics, readiness
    models        the served models by name, and how a new version takes over
    model         one version: its predictor and its batcher
    answering     the endpoints that answer inputs, in each dialect
    explaining    the endpoint that tells which words an answer rests on
    about         the endpoints that tell of the server: health, information, metrics, documents, the page
    asking        how every endpoint asks a model
    body          a request's body, within its limit
    interruption  a request that is left early: its time is over, its caller has gone
    observed      what is around all of it: ids, headers, counts, the answer to a failure
    refusals      exceptions to statuses and error bodies

Start reading at `application`.
"""
