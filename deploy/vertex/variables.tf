# Where

variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the endpoint; the image must be in a repository of this project or one that it may read."
  type        = string
  default     = "europe-west1"
}

# What runs

variable "name" {
  description = "Name of the endpoint, of the model and of the service account."
  type        = string
  default     = "tuneship"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.name))
    error_message = "name has 6 to 30 small letters, digits and hyphens; it begins with a letter and ends with none."
  }
}

variable "image" {
  description = "Image in Artifact Registry, by its digest: REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME@sha256:DIGEST."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+-docker\\.pkg\\.dev/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME@sha256:DIGEST; a tag is not accepted."
  }
}

variable "bundle_digest" {
  description = "Digest of the bundle; written into the model's description."
  type        = string
  default     = "unknown"
}

variable "artifact_uri" {
  description = "Bundle as gs://BUCKET/FOLDER, for an image with gcsfs; empty: the bundle in the image."
  type        = string
  default     = ""

  validation {
    condition     = var.artifact_uri == "" || can(regex("^gs://[a-z0-9._-]{3,222}/.+$", var.artifact_uri))
    error_message = "artifact_uri is gs://BUCKET/FOLDER, or empty."
  }
}

variable "predict_route" {
  description = "Path of predictions: /predict, or an endpoint such as /v1/chat/completions."
  type        = string
  default     = "/predict"

  validation {
    condition     = can(regex("^/[A-Za-z0-9._~:@/-]*$", var.predict_route))
    error_message = "predict_route is a path such as /predict."
  }
}

# Size

variable "instance_type" {
  description = "Machine type of the replicas."
  type        = string
  default     = "n2-standard-2"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*-[a-z0-9]+(-[0-9]+)?$", var.instance_type))
    error_message = "instance_type is such as n2-standard-2."
  }
}

variable "threads" {
  description = "CPU threads of the graph; 0 takes as many as the replica has CPUs."
  type        = number
  default     = 0

  validation {
    condition     = var.threads >= 0 && var.threads <= 1024
    error_message = "threads is 0 to 1024."
  }
}

variable "min_replicas" {
  description = "Fewest replicas."
  type        = number
  default     = 1

  validation {
    condition     = var.min_replicas >= 1
    error_message = "min_replicas is 1 or more."
  }
}

variable "max_replicas" {
  description = "Most replicas."
  type        = number
  default     = 5

  validation {
    condition     = var.max_replicas >= var.min_replicas
    error_message = "max_replicas is at least min_replicas."
  }
}

variable "cpu_percent" {
  description = "Share of the CPUs that autoscaling aims at."
  type        = number
  default     = 60

  validation {
    condition     = var.cpu_percent >= 1 && var.cpu_percent <= 100
    error_message = "cpu_percent is 1 to 100."
  }
}

variable "timeout_seconds" {
  description = "Longest time that a request waits for its turn."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 3600
    error_message = "timeout_seconds is 1 to 3600."
  }
}

variable "kms_key_name" {
  description = "Key of what Vertex AI keeps of the endpoint; empty: Google's own keys."
  type        = string
  default     = ""
}

# Canary

variable "model" {
  description = "Uploaded model that deployed_model.json is for: projects/PROJECT/locations/REGION/models/ID@VERSION."
  type        = string
  default     = ""

  validation {
    condition     = var.model == "" || can(regex("^projects/[^/]+/locations/[^/]+/models/[^/]+$", var.model))
    error_message = "model is projects/PROJECT/locations/REGION/models/ID@VERSION, or empty."
  }
}

variable "stable_deployed_model" {
  description = "Id of the deployed model that gets what the new one does not; empty: the new one gets all."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[0-9]*$", var.stable_deployed_model))
    error_message = "stable_deployed_model is a number, or empty."
  }
}

variable "canary_percent" {
  description = "Share of requests of the new one beside stable_deployed_model."
  type        = number
  default     = 10

  validation {
    condition     = var.canary_percent >= 0 && var.canary_percent <= 100
    error_message = "canary_percent is 0 to 100."
  }
}
