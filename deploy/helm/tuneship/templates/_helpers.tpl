{{- define "tuneship.name" -}}
{{- .Values.name | default .Release.Name -}}
{{- end -}}

{{- define "tuneship.selector" -}}
app.kubernetes.io/name: tuneship
app.kubernetes.io/instance: {{ include "tuneship.name" . }}
{{- end -}}

{{- define "tuneship.labels" -}}
{{ include "tuneship.selector" . }}
{{ include "tuneship.chart" . }}
{{- end -}}

{{- define "tuneship.chart" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- /* A Deployment's spec. Takes root, image, track, and replicas where no autoscaler sets them. */ -}}
{{- define "tuneship.deployment" -}}
{{- with .replicas }}
replicas: {{ . }}
{{- end }}
revisionHistoryLimit: 5
progressDeadlineSeconds: 600  # longer than a start may take, see startupProbe
strategy:
  type: RollingUpdate
  rollingUpdate:
    maxSurge: 1
    maxUnavailable: 0
selector:
  matchLabels:
    {{- include "tuneship.selector" .root | nindent 4 }}
    track: {{ .track }}
template:
  metadata:
    labels:
      {{- include "tuneship.selector" .root | nindent 6 }}
      track: {{ .track }}
    {{- with .root.Values.bundleDigest }}
    annotations:
      tuneship/bundle-digest: {{ . | quote }}
    {{- end }}
  spec:
    {{- include "tuneship.pod" . | nindent 4 }}
{{- end -}}

{{- define "tuneship.pod" -}}
{{- $values := .root.Values -}}
serviceAccountName: {{ include "tuneship.name" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
# The server drains itself, so no preStop hook has to wait.
terminationGracePeriodSeconds: {{ add $values.drainSeconds $values.graceSeconds 10 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "tuneship.selector" $.root | nindent 8 }}
  {{- end }}
containers:
  - name: server
    image: {{ .image }}
    imagePullPolicy: IfNotPresent
    ports:
      - name: http
        containerPort: 3000
        protocol: TCP
    env:
      {{- include "tuneship.env" $values | nindent 6 }}
    resources:
      {{- range list "requests" "limits" }}
      {{ . }}:
        cpu: {{ $values.cpus | toString | quote }}
        memory: {{ printf "%dMi" (int $values.memoryMb) }}
        ephemeral-storage: 256Mi
      {{- end }}
    # The server gives up a start by itself, with a message, after TUNESHIP_LOAD_SECONDS (300).
    startupProbe:
      httpGet:
        path: /readyz
        port: http
      periodSeconds: 1
      timeoutSeconds: 2
      failureThreshold: 310
    readinessProbe:
      httpGet:
        path: /readyz
        port: http
      periodSeconds: 5
      timeoutSeconds: 2
      failureThreshold: 2
    livenessProbe:
      httpGet:
        path: /livez
        port: http
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    volumeMounts:
      - name: tmp
        mountPath: /tmp
      {{- if $values.apiKeysSecret }}
      - name: api-keys
        mountPath: /etc/tuneship
        readOnly: true
      {{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 64Mi
  {{- with $values.apiKeysSecret }}
  - name: api-keys
    secret:
      secretName: {{ . }}
      defaultMode: 0440
  {{- end }}
{{- end -}}

{{- define "tuneship.env" -}}
- name: TUNESHIP_LOG_FORMAT
  value: json
- name: TUNESHIP_WAIT_SECONDS
  value: {{ .timeoutSeconds | toString | quote }}
- name: TUNESHIP_DRAIN_SECONDS
  value: {{ .drainSeconds | toString | quote }}
- name: TUNESHIP_GRACE_SECONDS
  value: {{ .graceSeconds | toString | quote }}
{{- with .threads }}
- name: TUNESHIP_THREADS
  value: {{ . | toString | quote }}
{{- end }}
{{- if .apiKeysSecret }}
- name: TUNESHIP_API_KEYS_FILE
  value: /etc/tuneship/keys.txt
- name: TUNESHIP_OPEN_METRICS
  value: "1"
{{- end }}
{{- range $name, $value := .env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- /* A Service's spec. Takes root, and the track where only its pods are meant. */ -}}
{{- define "tuneship.service" -}}
type: ClusterIP
selector:
  {{- include "tuneship.selector" .root | nindent 2 }}
  {{- with .track }}
  track: {{ . }}
  {{- end }}
ports:
  - name: http
    port: 80
    targetPort: http
    protocol: TCP
    appProtocol: http
{{- end -}}
