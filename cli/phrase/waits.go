package phrase

import (
	"fmt"
	"strings"

	"directormesh/cli/api"
)

// Waits says what lookups wait for, and how many for each reason.
func Waits(all []api.Wait) string {
	var parts []string
	for _, w := range all {
		parts = append(parts, fmt.Sprintf("%d %s", w.Lookups, waitsFor(w.Reason)))
	}
	return strings.Join(parts, ", ")
}

// waitsFor is what a lookup waits for, by its name in metrics and in the API.
func waitsFor(reason string) string {
	switch reason {
	case "unsynced":
		return "until this director is synced"
	case "moving":
		return "until their users are moved"
	case "barrier":
		return "for a change of the table"
	case "end_of_life":
		return "for the end of an old mapping"
	case "no_backend":
		return "for a usable backend"
	case "backend_failed":
		return "until their users are moved off a failed backend"
	}
	return reason
}
