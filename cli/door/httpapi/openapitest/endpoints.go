package openapitest

import (
	"reflect"
	"strings"

	"directormesh/cli/api"
)

// endpoint is a request that the server answers.
type endpoint struct {
	method, path string
	summary      string
	parameters   []parameter
	body         any // nil: there is none
	answer       any // of a stream: each line
	stream       bool
	events       bool // a stream of server-sent events
}

// parameter is one of the query.
type parameter struct{ name, kind, about string }

func text(name, about string) parameter   { return parameter{name, "string", about} }
func number(name, about string) parameter { return parameter{name, "integer", about} }
func moment(name, about string) parameter { return parameter{name, "date-time", about} }

var (
	byName = text("name", "The user by name. Give either name or hash.")
	byHash = number("hash", "The user by hash.")
	span   = []parameter{
		moment("since", "From when on."), moment("until", "Until when."),
		number("limit", "The newest so many."),
	}
	ifPlan = text("if_plan", "Digest of a plan: the change fails if the table is another by now.")
)

// queries are the endpoints that are no operations. A new path of the server goes here, or into
// api.Operations.
func queries() []endpoint {
	get := func(path, summary string, answer any, parameters ...parameter) endpoint {
		return endpoint{
			method: "GET", path: path, summary: summary, answer: answer, parameters: parameters,
		}
	}
	stream := func(e endpoint) endpoint {
		e.stream = true
		return e
	}
	events := get("/v1/events", "What happens, as server-sent events.", api.Event{},
		text("kinds", "Kinds of events, with commas between them."),
		number("last", "So many past events first."),
		text("after", "The id of the last event that was read."),
		text("follow", "no: only what has happened already."))
	events.events = true
	return []endpoint{
		events,
		get("/v1/director", "The director that is asked.", api.Self{}),
		get("/v1/directors", "The mesh as this director sees it.", api.Directors{}),
		get("/v1/backends", "The backends with their users.", api.Backends{}),
		get("/v1/keys", "The keys that encrypt the mesh, without the keys themselves.", api.Keys{}),
		get("/v1/health", "The health of the backends, as directors see it.", api.Health{}),
		get("/v1/pins", "The users who are pinned to a backend.", api.Pins{}),
		get("/v1/names", "What the directors see of the names of backends.", api.Names{}),
		get("/v1/balance", "How even the load of the backends is.", api.Balance{}),
		get("/v1/sessions", "Sessions of users on all directors.", api.Sessions{},
			byName, byHash, text("backend", "Address of a backend.")),
		get("/v1/doctor", "What is wrong with the mesh and its hosts.", api.Checkup{}),
		get("/v1/settings", "The settings of this director, without secrets.", api.Settings{}),
		get("/v1/user", "Where a user is, and would be.", api.User{},
			byName, byHash, text("tag", "The user's tag.")),
		get("/v1/history", "Admin changes on all directors.", api.History{}, span...),
		get("/v1/history/user", "Where a user was, and why.", api.UserHistory{}, append(
			[]parameter{byName, byHash, moment("at", "Where the user was then.")}, span...)...),
		stream(get("/v1/mappings", "Mappings, ordered by tag and hash.", api.Mapping{},
			text("backend", "Addresses of backends, with commas between them."), byHash)),
		get("/v1/flushes", "Flushes that run or ended lately.", api.Flushes{}),
		stream(get("/v1/flushes/watch", "Flushes whenever they change, until they have ended.",
			api.Flush{}, text("director", "The director that began the flush."),
			number("id", "The number of the flush there."),
			text("backend", "All flushes of this backend."))),
		{
			method: "POST", path: "/v1/lookup", body: api.LookupRequest{},
			answer:  api.LookupAnswer{},
			summary: "Looks a user up as a proxy does: assigns a backend to one who has none.",
		},
		{
			method: "POST", path: "/v1/lookup/batch", body: api.LookupRequest{},
			answer: api.LookupAnswer{}, stream: true,
			summary: "Looks up a user for each line, and answers in their order.",
		},
	}
}

// endpoints are all of them; changes and plans come from the list of operations.
func (s *schemas) endpoints() []endpoint {
	all := queries()
	for _, op := range api.Operations() {
		about := s.comments[reflect.TypeOf(op).Name()][""]
		_, about, _ = strings.Cut(about, " ") // the name of the type
		about = sentence(about)
		change := endpoint{
			method: "POST", path: op.Path(), summary: about, body: op, answer: api.Outcome{},
		}
		if plan := api.PlanPath(op); plan != "" {
			change.parameters = []parameter{ifPlan}
			all = append(all, endpoint{
				method: "POST", path: plan, body: op, answer: api.Plan{},
				summary: "Tells what this would do to users, and does nothing: " + about,
			})
		}
		all = append(all, change)
	}
	return all
}
