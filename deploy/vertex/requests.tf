# Terraform's provider has no resource for a model with a container of one's own, so that these are the bodies of the two
# requests that make it: models:upload and endpoints:deployModel of Vertex AI's REST API.

locals {
  service_account = "${var.name}@${var.project}.iam.gserviceaccount.com"

  variables = merge(
    { TUNESHIP_LOG_FORMAT = "json", TUNESHIP_WAIT_SECONDS = tostring(var.timeout_seconds) },
    var.threads == 0 ? {} : { TUNESHIP_THREADS = tostring(var.threads) },
  )

  model = merge(
    {
      displayName = var.name
      description = "Tuneship bundle sha256 ${var.bundle_digest}"
      containerSpec = {
        imageUri     = var.image
        args         = ["serve"]
        ports        = [{ containerPort = 8080 }]
        healthRoute  = "/readyz"
        predictRoute = var.predict_route
        env          = [for name, value in local.variables : { name = name, value = value }]
        startupProbe = { httpGet = { path = "/readyz", port = 8080 }, periodSeconds = 5, timeoutSeconds = 2, failureThreshold = 60 }
      }
    },
    var.artifact_uri == "" ? {} : { artifactUri = var.artifact_uri },
  )

  deployed_model = {
    displayName         = var.name
    model               = var.model
    serviceAccount      = local.service_account
    enableAccessLogging = true
    dedicatedResources = {
      machineSpec     = { machineType = var.instance_type }
      minReplicaCount = var.min_replicas
      maxReplicaCount = var.max_replicas
      autoscalingMetricSpecs = [
        { metricName = "aiplatform.googleapis.com/prediction/online/cpu/utilization", target = var.cpu_percent },
      ]
    }
  }

  # 0 stands for the model that is being deployed.
  traffic = var.stable_deployed_model == "" ? { "0" = 100 } : {
    "0"                         = var.canary_percent
    (var.stable_deployed_model) = 100 - var.canary_percent
  }
}

output "model_json" {
  description = "Body of models:upload."
  value       = jsonencode({ model = local.model })
}

output "deployed_model_json" {
  description = "Body of endpoints:deployModel, once the variable model is set."
  value       = jsonencode({ deployedModel = local.deployed_model, trafficSplit = local.traffic })
}
