// Package observe holds what others need to watch a mesh: alert rules for Prometheus and a Grafana
// dashboard. It has no code but tests, which hold these files to the metrics that a director serves
// and to the guide for operators.
package observe
