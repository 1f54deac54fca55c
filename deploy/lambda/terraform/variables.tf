# What runs

variable "name" {
  description = "Name of the function; log groups, queues and alarms begin with it."
  type        = string
  default     = "tuneship"

  validation {
    condition     = can(regex("^[a-zA-Z0-9-]{1,40}$", var.name))
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

variable "bundle_digest" {
  description = "Digest of the bundle in the image; written into the function's tags."
  type        = string
  default     = "unknown"
}

variable "architecture" {
  description = "Architecture of the image."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture is x86_64 or arm64."
  }
}

# Size

variable "memory_mb" {
  description = "Memory in MB; 1769 has one CPU."
  type        = number
  default     = 1769

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "memory_mb is 128 to 10240."
  }
}

variable "threads" {
  description = "CPU threads of the graph; 0 lets the memory decide."
  type        = number
  default     = 0

  validation {
    condition     = var.threads >= 0 && var.threads <= 6
    error_message = "threads is 0 to 6: the largest function has six CPUs."
  }
}

variable "timeout_seconds" {
  description = "Longest time of one invocation; the HTTP API waits 30 seconds at most."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900
    error_message = "timeout_seconds is 1 to 900."
  }
}

variable "min_replicas" {
  description = "Provisioned concurrency of the alias; 0 for none."
  type        = number
  default     = 0

  validation {
    condition     = var.min_replicas == 0 || !var.snap_start
    error_message = "Lambda has no SnapStart with provisioned concurrency: set min_replicas to 0 or snap_start to false."
  }
}

variable "max_replicas" {
  description = "Reserved concurrency; 0 shares the concurrency of the account."
  type        = number
  default     = 0

  validation {
    condition     = var.max_replicas == 0 || var.max_replicas >= var.min_replicas
    error_message = "max_replicas is 0, or min_replicas or more."
  }
}

variable "snap_start" {
  description = "Start from a snapshot of an initialized function; excludes min_replicas above 0."
  type        = bool
  default     = false
}

variable "warm_up" {
  description = "Invoke the function every five minutes, so that one instance stays warm."
  type        = bool
  default     = false
}

# Settings

variable "environment" {
  description = "More environment variables: docs/settings.md has those of Tuneship. Secrets do not belong here."
  type        = map(string)
  default     = {}
}

variable "log_retention_days" {
  description = "Days after which log lines are deleted."
  type        = number
  default     = 30
}

variable "tags" {
  description = "Tags of everything that is made."
  type        = map(string)
  default     = {}
}

# HTTP

variable "function_url_authorization" {
  description = "Who may call the Function URL; NONE is everybody."
  type        = string
  default     = "AWS_IAM"

  validation {
    condition     = contains(["AWS_IAM", "NONE"], var.function_url_authorization)
    error_message = "function_url_authorization is AWS_IAM or NONE."
  }
}

variable "invoke_mode" {
  description = "BUFFERED, or RESPONSE_STREAM for generated texts token by token, by the Function URL alone."
  type        = string
  default     = "BUFFERED"

  validation {
    condition     = contains(["BUFFERED", "RESPONSE_STREAM"], var.invoke_mode)
    error_message = "invoke_mode is BUFFERED or RESPONSE_STREAM."
  }

  validation {
    condition     = var.invoke_mode == "BUFFERED" || "${var.domain_name}${var.listener_arn}" == ""
    error_message = "HTTP API and load balancer read no streamed answers: leave domain_name and listener_arn out."
  }
}

variable "http_api_authorization" {
  description = "Who may call the HTTP API; NONE is everybody."
  type        = string
  default     = "AWS_IAM"

  validation {
    condition     = contains(["AWS_IAM", "NONE"], var.http_api_authorization)
    error_message = "http_api_authorization is AWS_IAM or NONE."
  }
}

variable "domain_name" {
  description = "Domain name of your own for the HTTP API; empty for none."
  type        = string
  default     = ""

  validation {
    condition     = (var.domain_name == "") == (var.certificate_arn == "")
    error_message = "domain_name and certificate_arn go together."
  }
}

variable "certificate_arn" {
  description = "Certificate of that domain in AWS Certificate Manager, in this region."
  type        = string
  default     = ""
}

variable "base_path" {
  description = "Path below the domain or the load balancer, such as support; empty for the root."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*)?$", var.base_path))
    error_message = "base_path has no slash at its ends: support, or teams/support."
  }
}

variable "listener_arn" {
  description = "Listener of a load balancer that sends requests to the function; empty for none."
  type        = string
  default     = ""
}

variable "listener_priority" {
  description = "Priority of the rule in that listener."
  type        = number
  default     = 100
}

# Queue

variable "queue" {
  description = "Make an SQS queue whose messages the function answers, and one for the answers."
  type        = bool
  default     = false
}

variable "batch_size" {
  description = "Messages of one invocation."
  type        = number
  default     = 10

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 10
    error_message = "batch_size is 1 to 10."
  }
}

variable "queue_concurrency" {
  description = "Instances that answer the queue at once."
  type        = number
  default     = 2

  validation {
    condition     = var.queue_concurrency >= 2 && var.queue_concurrency <= 1000
    error_message = "queue_concurrency is 2 to 1000."
  }
}

# Canary and alarms

variable "deployment" {
  description = "How CodeDeploy moves the traffic of the alias to a new version, such as Canary10Percent5Minutes, Linear10PercentEvery1Minute or AllAtOnce."
  type        = string
  default     = "Canary10Percent5Minutes"

  validation {
    condition     = can(regex("^(Canary10Percent(5|10|15|30)Minutes|Linear10PercentEvery(1Minute|2Minutes|3Minutes|10Minutes)|AllAtOnce)$", var.deployment))
    error_message = "deployment is Canary10Percent5Minutes (10, 15, 30), Linear10PercentEvery1Minute (2Minutes, 3Minutes, 10Minutes) or AllAtOnce."
  }
}

variable "error_percent" {
  description = "Percentage of failed invocations or of 5xx answers above which an alarm fires."
  type        = number
  default     = 1
}

variable "p99_ms" {
  description = "Duration in milliseconds of which the 99th percentile fires an alarm, cold starts not counted."
  type        = number
  default     = 1000
}

variable "alarm_topic_arn" {
  description = "SNS topic that alarms are sent to; empty for none."
  type        = string
  default     = ""
}
