package phrase

import (
	"strings"

	"directormesh/cli/api"
)

// AllBackends is how all backends are named.
const AllBackends = "all"

// Backend names a backend; without one, all of them.
func Backend(backend api.IP) string {
	if !backend.IsValid() {
		return AllBackends
	}
	return backend.String()
}

// Who says who asked for a change.
func Who(c api.AdminChange) string {
	switch {
	case c.Who == "":
		return "not known"
	case c.From == "":
		return c.Who
	}
	return c.Who + " from " + c.From
}

// Asked is what a change was.
func Asked(c api.AdminChange) string {
	words := []string{c.Action}
	for _, d := range c.Details {
		switch d.Name {
		case "backend", "peer":
			words = append(words, d.Value)
		default:
			words = append(words, d.Name+" "+d.Value)
		}
	}
	return strings.Join(words, " ")
}

// Result is how a change went.
func Result(c api.AdminChange) string {
	switch {
	case c.Who == "":
		return "-"
	case c.Error != "":
		return "failed: " + c.Error
	}
	result := "ok"
	if len(c.FailedDirectors) > 0 {
		result += ", without " + strings.Join(c.FailedDirectors, " ")
	}
	if len(c.NotKept) > 0 {
		result += ", not on the disk of " + strings.Join(c.NotKept, " ")
	}
	return result
}

// Reason says why a user went to another backend.
func Reason(c api.UserChange) string {
	text, known := map[string]string{
		"login":     "login of a user without a mapping",
		"move":      "moved",
		"flush":     "flushed",
		"drain":     "backend drained",
		"rebalance": "rebalanced",
		"session":   "a session was found there",
		"import":    "imported",
		"conflict":  "two directors had decided at once",
		"expired":   "login after the mapping had expired",
		"forgotten": "mapping forgotten",
		"removed":   "backend removed",
		"failed":    "backend failed",
		"other":     "changed by another director",
	}[c.Reason]
	if !known {
		text = c.Reason // of a later release
	}
	if c.Asked != nil {
		text += " by " + Who(*c.Asked) + " at " + c.Asked.Director
	} else if c.By != "" {
		text += " at " + c.By
	}
	if c.To.IsValid() && (c.Reason == "forgotten" || c.Reason == "removed") {
		text += "; the next login went by hash"
	}
	return text
}
