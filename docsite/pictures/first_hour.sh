# messages.csv: what customers wrote, and what they wanted
head -n 3 messages.csv
# 1. look at the rows, and write a recipe
tuneship init messages.csv --output recipe.yaml
# 2. fine-tune
tuneship train recipe.yaml --output runs/support
# 3. convert to ONNX, and prove that it answers as before
tuneship export runs/support --output bundles/support
# 4. serve it, and ask
tuneship serve bundles/support --port 3000 2> server.log &
curl --silent --retry 30 --retry-connrefused --retry-delay 1 localhost:3000/predict \
  --json '{"inputs": "my parcel is lost", "parameters": {"top_k": 2}}'; echo
# the same check for any running server
tuneship verify bundles/support --url http://localhost:3000
