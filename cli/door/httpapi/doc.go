// Package httpapi is the door for our own command line, web pages, Prometheus and scripts: HTTP
// with JSON under /v1, /metrics, /healthz and /readyz. What travels is defined and documented in
// cli/api; this package owns how it is served: routing, limits, time-outs, who may ask, and the log
// line of each change. It decides nothing about users and backends; that is behind the Director
// interface.
//
// # Who may ask
//
// On a unix socket the file's mode decides, and the peer's user id goes into the log. On TCP there
// is no access control, so callers must only pass loopback listeners; browsers are kept from being
// used by foreign pages (Host and Origin are checked).
//
// # Limits
//
// Requests are bounded in size, headers and bodies must arrive in time, and every write must make
// progress. Streams (mappings, batches, flush progress) need memory for a window only, however long
// they are.
package httpapi
