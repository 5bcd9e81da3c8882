{{/* The name of all resources: that of the release. */}}
{{- define "wsproxy.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "wsproxy.selector" -}}
app.kubernetes.io/name: wsproxy
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "wsproxy.labels" -}}
{{ include "wsproxy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* A setting as text. A number of a values file is a float, which would become 1e+06. */}}
{{- define "wsproxy.text" -}}
{{ if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}
