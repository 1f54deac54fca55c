from serving.entrypoints.library import Predictor as Predictor

VERSION: str
