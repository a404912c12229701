// Package api is the HTTP/JSON interface of a director: the types that travel, and a client.
// Commands, scripts and web pages use nothing else of a director. The server is cli/door/httpapi.
//
// # Promises
//
// Names are snake_case, times are RFC 3339 in UTC, durations are milliseconds, lists are never
// null. Fields are added, never changed or removed; a client ignores fields it does not know. User
// hashes are numbers. An address that is absent is the empty string.
//
// # Queries
//
//	GET  /v1/director                          this director: Self
//	GET  /v1/directors                         the mesh as this director sees it: Directors
//	GET  /v1/backends                          the table: Backends
//	GET  /v1/balance                           how load is evened out: Balance
//	GET  /v1/keys                              the keys that encrypt the mesh: Keys
//	GET  /v1/user?name=N[&tag=T]               one user: User; ?hash=H names the user by hash
//	GET  /v1/mappings[?backend=IP,IP][&hash=H] one Mapping a line, ordered by tag and hash
//	GET  /v1/sessions[?name=N][&backend=IP]    sessions on all directors: Sessions
//	GET  /v1/doctor                            what is wrong: Checkup
//	GET  /v1/settings                          its settings without secrets: Settings
//	GET  /v1/flushes                           flushes, running and lately ended: Flushes
//	GET  /v1/flushes/watch[?director=D&id=N]   or [?backend=IP]: one Flush a line when it changed,
//	                                           until all that were asked for have ended
//	GET  /v1/events[?kinds=K,K][&last=N]       server-sent events, each an Event, as long as
//	                                           the client reads
//
// # Lookups
//
// A lookup is what a proxy does: it assigns a backend to a user who has none and records activity.
//
//	POST /v1/lookup         LookupRequest → LookupAnswer
//	POST /v1/lookup/batch   lines of LookupRequest → lines of LookupAnswer, in the same order
//
// A batch is streamed in both directions and has no length limit. Each answer has a backend or an
// error; one user's failure leaves the others alone.
//
// # Changes
//
// All are POSTs of the type named, and answer an Outcome once every live director has applied the
// change:
//
//	/v1/backends/add     AddBackend       /v1/moves            Move
//	/v1/backends/update  UpdateBackend    /v1/kicks            KickUser
//	/v1/backends/remove  RemoveBackend    /v1/flushes          FlushUsers
//	/v1/backends/up      BackendUp        /v1/flushes/cancel   CancelFlush
//	/v1/backends/down    BackendDown      /v1/mappings/forget  Forget
//	/v1/directors/add    AddDirector      /v1/directors/remove RemoveDirector
//	/v1/mappings/import  ImportMappings   /v1/keys/add         AddKey
//	/v1/keys/use         UseKey           /v1/keys/remove      RemoveKey
//	/v1/keys/rotate      RotateKeys       /v1/reload           Reload
//	/v1/backends/drain   DrainBackend     /v1/backends/undrain UndrainBackend
//	/v1/backends/rebalance Rebalance     /v1/balance/reset    ResetBalance
//	/v1/pins/add         PinUser          /v1/pins/remove      UnpinUser
//
// With ?if_plan=DIGEST a change fails if the table is another one than that of the plan with this
// digest.
//
// # Plans
//
//	POST /v1/plan/backends/update   UpdateBackend → Plan: which users the change would move
//
// and so for all operations for which PlanPath has a path. A plan changes nothing.
//
// # Errors
//
// A request that fails answers with a status of 400 or above and {"error":{"code":…,"message":…}};
// the codes are the Code constants. A stream that fails is cut in the middle of the HTTP response,
// so that a client can distinguish it from a stream that has ended.
//
// # Elsewhere
//
// /metrics is for Prometheus. /healthz answers 200 while the process works; /readyz answers 200
// while the director answers lookups by itself, else 503 with the reason.
package api
