# What runs

variable "name" {
  description = "Name of the endpoint; models, alarms and the log group begin with it."
  type        = string
  default     = "tuneship"

  validation {
    condition     = can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,39}$", var.name))
    error_message = "name has 1 to 40 letters, digits and hyphens."
  }
}

variable "image" {
  description = "Image in Amazon ECR, by its digest: ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY@sha256:DIGEST."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.amazonaws\\.com(\\.cn)?/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY@sha256:DIGEST; a tag is not accepted."
  }
}

variable "model_data_url" {
  description = "Bundle as s3://BUCKET/…/model.tar.gz, which tuneship push writes; empty: the bundle in the image."
  type        = string
  default     = ""

  validation {
    condition     = var.model_data_url == "" || can(regex("^s3://[a-z0-9.-]{3,63}/.+\\.tar\\.gz$", var.model_data_url))
    error_message = "model_data_url is s3://BUCKET/…/model.tar.gz, or empty."
  }
}

variable "bundle_digest" {
  description = "Digest of the bundle; written into the tags of everything."
  type        = string
  default     = "unknown"
}

# A canary beside it

variable "canary_image" {
  description = "Image of a second variant, by its digest; empty: none."
  type        = string
  default     = ""

  validation {
    condition     = var.canary_image == "" || can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.amazonaws\\.com(\\.cn)?/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$", var.canary_image))
    error_message = "canary_image is ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY@sha256:DIGEST, or empty."
  }
}

variable "canary_model_data_url" {
  description = "Bundle of the second variant as s3://BUCKET/…/model.tar.gz; empty: the bundle in its image."
  type        = string
  default     = ""

  validation {
    condition     = var.canary_model_data_url == "" || can(regex("^s3://[a-z0-9.-]{3,63}/.+\\.tar\\.gz$", var.canary_model_data_url))
    error_message = "canary_model_data_url is s3://BUCKET/…/model.tar.gz, or empty."
  }
}

variable "canary_percent" {
  description = "Share of requests of the second variant, and of instances that an update moves first."
  type        = number
  default     = 10

  validation {
    condition     = var.canary_percent >= 1 && var.canary_percent <= 50
    error_message = "canary_percent is 1 to 50."
  }
}

variable "canary_seconds" {
  description = "How long an update waits, with the canary's share of the traffic, for an alarm."
  type        = number
  default     = 600

  validation {
    condition     = var.canary_seconds >= 0 && var.canary_seconds <= 3600
    error_message = "canary_seconds is 0 to 3600."
  }
}

# Size

variable "instance_type" {
  description = "Instances of the endpoint."
  type        = string
  default     = "ml.c6i.large"

  validation {
    condition     = can(regex("^ml\\.[a-z0-9-]+\\.[a-z0-9]+$", var.instance_type))
    error_message = "instance_type is such as ml.c6i.large."
  }
}

variable "threads" {
  description = "CPU threads of the graph; 0 takes as many as the instance has CPUs."
  type        = number
  default     = 0

  validation {
    condition     = var.threads >= 0 && var.threads <= 1024
    error_message = "threads is 0 to 1024."
  }
}

variable "concurrency" {
  description = "Requests at once in each instance that autoscaling aims at."
  type        = number
  default     = 16

  validation {
    condition     = var.concurrency >= 1
    error_message = "concurrency is 1 or more."
  }
}

variable "min_replicas" {
  description = "Fewest instances of a variant; two or more are spread over availability zones."
  type        = number
  default     = 2

  validation {
    condition     = var.min_replicas >= 1
    error_message = "min_replicas is 1 or more."
  }
}

variable "max_replicas" {
  description = "Most instances of a variant."
  type        = number
  default     = 6

  validation {
    condition     = var.max_replicas >= var.min_replicas
    error_message = "max_replicas is at least min_replicas."
  }
}

variable "timeout_seconds" {
  description = "Longest time that a request waits for its turn; SageMaker waits 60 seconds for an answer."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 60
    error_message = "timeout_seconds is 1 to 60."
  }
}

# Network and keys

variable "subnet_ids" {
  description = "Private subnets of the instances; empty: SageMaker's own network."
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "Security groups of the instances; they need no outgoing rule."
  type        = list(string)
  default     = []
}

variable "kms_key_arn" {
  description = "Key of the instances' volumes and of the log; empty: AWS' own keys. Types with local disks take none."
  type        = string
  default     = ""
}

# Logs and alarms

variable "log_retention_days" {
  description = "Days that the log is kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is one of CloudWatch's: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, …"
  }
}

variable "p99_ms" {
  description = "An alarm tells, and rolls an update back, when the slowest of 100 requests takes longer, in ms."
  type        = number
  default     = 1000

  validation {
    condition     = var.p99_ms > 0
    error_message = "p99_ms is above 0."
  }
}

variable "alarm_topic_arn" {
  description = "SNS topic that hears of alarms; empty: none."
  type        = string
  default     = ""
}
