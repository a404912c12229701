// Package health keeps what directors see of backends, and says what most of them see.
//
//	Sights      what one director sees: its observations, by backend
//	Observers   which directors observe a backend
//	Agreements  what most observers of each backend see, and since when
//
// An observation that its observer does not renew is withdrawn by it, so one that is there counts.
// The package checks no backend, and decides nothing: package replica says which directors can
// observe, who writes a verdict, and when.
//
// Not safe for concurrent use.
package health
