package openapitest

import (
	"strings"

	"directormesh/cli/api"
)

func lower(method string) string { return strings.ToLower(method) }

// operationID names an endpoint, as programs that make clients want it: getBackends.
func operationID(e endpoint) string {
	id := lower(e.method)
	for part := range strings.SplitSeq(strings.TrimPrefix(e.path, "/v1/"), "/") {
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	return id
}

// commands adds the schemas of what only commands print.
func (s *schemas) commands() {
	list := func(of object) object { return object{"type": "array", "items": of} }
	ref := func(name string) object { return object{"$ref": "#/components/schemas/" + name} }
	whole := func(about string, properties object) object {
		made := object{
			"type": "object", "properties": properties, "required": sorted(properties),
		}
		if about != "" {
			made["description"] = about
		}
		return made
	}
	text, number := object{"type": "string"}, object{"type": "number"}
	integer := object{"type": "integer", "format": "int64"}
	optional := func(kind string) object { return object{"type": kind, "nullable": true} }
	s.answer(api.DataContents{})
	mapped := s.made["Mapping"].(object)
	properties := object{"user": object{
		"type": "string", "nullable": true,
		"description": "Null if no name is known for the hash.",
	}}
	for name, property := range mapped["properties"].(object) {
		properties[name] = property
	}
	backends := object{"health": ref("Health"), "names": ref("Names")}
	for name, property := range s.made["Backends"].(object)["properties"].(object) {
		backends[name] = property
	}
	latency := whole("In microseconds.", object{
		"p50": number, "p90": number, "p99": number, "p99_9": number, "max": number,
	})
	printed := object{
		"PrintedMappings": whole("What map prints.", object{
			"mappings": list(whole("", properties)),
		}),
		"PrintedUsers":    whole("What map -h prints.", object{"users": list(text)}),
		"PrintedHash":     whole("What map -u prints.", object{"user_hash": integer}),
		"PrintedCommands": whole("What dump prints.", object{"commands": list(list(text))}),
		"PrintedAnswers": whole("What lookup -f prints.", object{
			"answers": list(ref("LookupAnswer")),
		}),
		"PrintedVersion":   whole("What version prints.", object{"version": text, "go": text}),
		"PrintedObservers": whole("What status -v prints.", backends),
		"PrintedImport": whole("What import prints.", object{
			"backends": integer, "changes": list(text), "mappings": integer, "taken": integer,
			"refused": integer, "homeless": integer, "not_kept": list(text),
			"kept_by_none": object{"type": "boolean"},
		}),
		"PrintedBench": whole("What bench prints.", object{
			"door": text, "rate": number, "connections": integer, "depth": integer,
			"seconds": number, "lookups": integer, "lookups_per_second": number,
			"failed":   integer,
			"failures": list(whole("", object{"reason": text, "lookups": integer})),
			"users":    integer, "moved": integer, "wrong": integer, "wrong_examples": list(text),
			"latency_us": latency,
			"histogram":  list(whole("", object{"below_us": number, "lookups": integer})),
			"directors": list(whole("", object{
				"director": text, "lookups": integer, "failed": integer, "latency_us": latency,
				"cpu_us_per_lookup": optional("number"), "memory_bytes": optional("integer"),
			})),
			"tool_cpu_seconds": number,
		}),
	}
	for name, schema := range printed {
		s.made[name] = schema
	}
}

// commandSchemas name what commands print with --json. A new command, or form of one, goes here.
func commandSchemas() object {
	all := object{
		"status": "Backends", "status -v": "PrintedObservers", "status USER": "User",
		"health": "Health", "lookup": "LookupAnswer", "lookup -f": "PrintedAnswers",
		"map": "PrintedMappings", "map -h": "PrintedUsers", "map -u": "PrintedHash",
		"dump": "PrintedCommands", "history": "History", "history USER": "UserHistory",
		"ring status": "Directors", "keys list": "Keys", "flush": "Flushes", "flush -F": "Outcome",
		"flush --cancel": "Flushes",
		"import":         "PrintedImport", "bench": "PrintedBench", "version": "PrintedVersion",
		"data inspect": "DataContents", "balance": "Balance", "pins": "Pins", "watch": "Event",
		"who": "Sessions", "doctor": "Checkup",
	}
	for _, change := range []string{
		"add", "update", "remove", "up", "down", "drain", "undrain", "rebalance", "move", "kick",
		"ring add", "ring remove", "keys add", "keys use", "keys remove", "keys rotate", "reload",
		"pin", "unpin", "balance reset",
	} {
		all[change] = "Outcome"
	}
	for _, change := range planned {
		all["plan "+change], all[change+" --plan"] = "Plan", "Plan"
	}
	return all
}

// planned are the commands that have plans.
var planned = []string{
	"add", "update", "remove", "up", "down", "drain", "undrain", "rebalance", "flush", "pin",
	"unpin",
}
