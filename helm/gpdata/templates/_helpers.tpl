{{- /* What is the same in many manifests. Each helper takes the chart's root, or a dict with it as `root`. */ -}}

{{- /* The labels of everything that is ours; `component` says which part. */ -}}
{{- define "gpdata.labels" -}}
{{- $root := .root | default . -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- /* The labels that select pods. They never change: a Deployment's and a StatefulSet's selector cannot. */ -}}
{{- define "gpdata.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* The pods of users' servers, which zero-to-jupyterhub labels. */ -}}
{{- define "gpdata.userServers" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: singleuser-server
{{- end }}

{{- define "gpdata.image" -}}
{{ printf "%s:%s" .name .tag }}
{{- end }}

{{- /* What every pod of ours has: an account without rights, pull secrets, nodes with state, nobody is root. */ -}}
{{- define "gpdata.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.nodes.selector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.nodes.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .group | default .user }}
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "gpdata.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end }}

{{- /* Where the lake is: a folder of its volume, or an address in a store. */ -}}
{{- define "gpdata.lake" -}}
{{ .Values.lake.s3.address | default .Values.lake.path }}
{{- end }}

{{- /* Environment of what writes the lake. */ -}}
{{- define "gpdata.writerEnvironment" -}}
- name: GPDATA_LAKE
  value: {{ include "gpdata.lake" . | quote }}
{{- if .Values.lake.s3.address }}
{{- with .Values.lake.s3.endpoint }}
- name: AWS_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.lake.s3.region }}
- name: AWS_REGION
  value: {{ . | quote }}
{{- end }}
{{- if .Values.lake.s3.allowHttp }}
- name: AWS_ALLOW_HTTP
  value: "true"
{{- end }}
{{- with .Values.lake.s3.writerSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: AWS_ACCESS_KEY_ID}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: AWS_SECRET_ACCESS_KEY}
{{- end }}
{{- end }}
{{- end }}

{{- /* Volumes and mounts of what writes the lake: the lake itself (unless it is in a store) and room for passing files. */ -}}
{{- define "gpdata.writerVolumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 4Gi
{{- if not .Values.lake.s3.address }}
- name: lake
  persistentVolumeClaim:
    claimName: {{ .Values.lake.claimName }}
{{- end }}
{{- end }}

{{- define "gpdata.writerMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if not .Values.lake.s3.address }}
- name: lake
  mountPath: /lake
{{- end }}
{{- end }}

{{- /* Where the spool is: on a claim of its own, or in the lake where Spark's executors read it, too. */ -}}
{{- define "gpdata.ownSpool" -}}
{{- if ne .Values.transform.mode "spark" }}true{{ end }}
{{- end }}

{{- /* Names are looked up at the cluster's DNS, or at its cache on each node. */ -}}
{{- define "gpdata.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
    - ipBlock:
        cidr: 169.254.20.10/32
{{- end }}

{{- /* The way to the object store. */ -}}
{{- define "gpdata.store" -}}
- ports:
    {{- range .Values.lake.s3.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  to:
    {{- range .Values.lake.s3.cidrs }}
    - ipBlock:
        cidr: {{ . }}
        {{- if eq . "0.0.0.0/0" }}
        except: [169.254.0.0/16]
        {{- end }}
    {{- end }}
{{- end }}

{{- /* The way to the cluster's API, for who starts executors. */ -}}
{{- define "gpdata.api" -}}
- ports:
    {{- range .Values.spark.apiServer.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  to:
    {{- range .Values.spark.apiServer.cidrs }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
{{- end }}

{{- /*
The namespaces of executors, as JSON: those of users, and the transform's own, whose executors write the lake. `driver`
are the labels of the pods that may have executors there.
*/ -}}
{{- define "gpdata.sparkNamespaces" -}}
{{- $root := . }}
{{- $found := list }}
{{- if .Values.spark.enabled }}
{{- range .Values.spark.namespaces }}
{{- $quota := merge (dict) (.quota | default dict) $root.Values.spark.quota }}
{{- $driver := include "gpdata.userServers" $root | fromYaml }}
{{- $account := .serviceAccount | default "gpdata-user" }}
{{- $one := dict "name" .name "create" (ne .create false) "account" $account "quota" $quota "writes" false "driver" $driver }}
{{- $found = append $found (set $one "groups" (.groups | default list)) }}
{{- end }}
{{- end }}
{{- if eq .Values.transform.mode "spark" }}
{{- $driver := include "gpdata.selector" (dict "root" . "component" "transform") | fromYaml }}
{{- $quota := merge (dict) .Values.transform.spark.quota .Values.spark.quota }}
{{- $one := dict "name" .Values.transform.spark.namespace "create" true "account" "gpdata-transform" "quota" $quota "writes" true "driver" $driver }}
{{- $found = append $found (set $one "groups" list) }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{- /* The claim of the lake in a namespace of executors; empty: they do not see a volume. */ -}}
{{- define "gpdata.executorsClaim" -}}
{{- if not .Values.lake.s3.address }}
{{- if .Values.lake.volume }}{{ .Values.lake.claimName }}{{ else }}{{ .Values.spark.lakeClaim }}{{ end }}
{{- end }}
{{- end }}

{{- /* The address that people upload to; empty where the hub is not published. */ -}}
{{- define "gpdata.server" -}}
{{- $hosts := list }}
{{- if eq .Values.access "ingress" }}
{{- $hosts = (.Values.jupyterhub.ingress | default dict).hosts | default list }}
{{- else if eq .Values.access "https" }}
{{- $hosts = .Values.jupyterhub.proxy.https.hosts | default list }}
{{- end }}
{{- with first $hosts }}https://{{ . }}/services/gpdata{{ end }}
{{- end }}

{{- /* Volumes belong to the whole cluster: the release's namespace tells those of two labs apart. */ -}}
{{- define "gpdata.volumeName" -}}
{{- $own := printf "%s-%s" .root.Values.lake.claimName .root.Release.Namespace }}
{{- if eq .namespace .root.Release.Namespace }}{{ $own }}{{ else }}{{ printf "%s-for-%s" $own .namespace }}{{ end }}
{{- end }}
