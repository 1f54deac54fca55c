"""``python -m serving.entrypoints.aws_lambda [HANDLER]``: awslambdaric's loop, and streamed answers."""

from __future__ import annotations

import gc
import os
import sys

from awslambdaric import __main__ as awslambdaric
from awslambdaric import bootstrap
from awslambdaric.lambda_config import LambdaConfigProvider

from serving.entrypoints.aws_lambda.streaming import RuntimeClient

HANDLER = "serving.lambda_handler.handler"


def main(arguments: list[str]) -> None:
    gc.disable()  # until the function is loaded: what is imported stays
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would look through all packages for some
    given = [*arguments, HANDLER][:2]
    config = LambdaConfigProvider(given)
    if config.is_multi_concurrent:  # Lambda's managed instances: a process for each call at once
        awslambdaric.main(given)
    else:
        bootstrap.run(config.handler, RuntimeClient(config.api_address, config.use_thread_polling))


if __name__ == "__main__":
    main(sys.argv[:2])
