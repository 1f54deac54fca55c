"""The HTTP API: an ASGI app, the same under uvicorn, BentoML and AWS Lambda. Read in this order:

app         which path leads to which endpoint
body        reads a body within its limits
state       what the endpoints share: models, metrics, readiness
models/     the served models by name, their versions and sources
endpoints/  call_model (what every endpoint does first), predict, streaming, explain, info, open_inference, sagemaker
errors      exceptions to statuses and error bodies
timeouts    contexts that end at a deadline or a disconnect
middleware/ observe (ids, headers, metrics, failures), access (keys, hosts, origins), security_headers
openapi/    the OpenAPI document and its template
page/       the page at ``/``
server/     uvicorn's server and connections, with bounds; signals
"""
