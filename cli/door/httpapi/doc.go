// Package httpapi is the door for our own command line, web pages, Prometheus and scripts: HTTP
// with JSON under /v1, /metrics, /healthz and /readyz. Package cli/api defines and documents the
// messages; this package serves them: routing, limits, time-outs, access, and the log line of each
// change. Decisions about users and backends are behind the Director interface.
//
// # Access
//
// On a unix socket the file's mode decides, and the peer's user id goes into the log. On TCP a Gate
// decides for each request, over TLS. Without one there is no access control: callers must only
// pass loopback listeners, nothing can be changed there, and Host and Origin are checked, so that
// foreign pages cannot use a browser of this host.
//
// # Limits
//
// Requests are bounded in size, headers and bodies must arrive in time, and every write must make
// progress. Streams (mappings, batches, flush progress) need memory for a window only, however long
// they are.
package httpapi
