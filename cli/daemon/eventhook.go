package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/api"
	"directormesh/cli/eventhook"
)

// eventOptions are the settings for hooks on events.
type eventOptions struct {
	Command *eventhook.Command // nil: none
	URL     *eventhook.URL     // nil: none
	Kinds   []string
}

// defaultEventKinds are what somebody may have to do something about.
const defaultEventKinds = "health,alarm,peer,drain"

// eventSettings are those for hooks on events.
func eventSettings() []Setting {
	return []Setting{
		{
			Name: "event-command", Value: "COMMAND", Default: "", shown: programOnly,
			Usage: "program that one director runs for each event of the mesh (default: none)",
			read: func(o *Options, s string, _ Environment) (err error) {
				if s != "" {
					o.Events.Command, err = eventhook.ParseCommand(s)
				}
				return err
			},
		},
		{
			Name: "event-url", Value: "URL", Default: "", shown: hostOnly,
			Usage: "address to which one director posts each event of the mesh (default: none)",
			read: func(o *Options, s string, _ Environment) (err error) {
				if s != "" {
					o.Events.URL, err = eventhook.ParseURL(s)
				}
				return err
			},
		},
		{
			Name: "event-kinds", Value: "KIND,…", Default: defaultEventKinds, joint: ",",
			Usage: "events for --event-command and --event-url: " +
				strings.Join(api.EventKinds(), ", "),
			read: func(o *Options, s string, _ Environment) error {
				for kind := range strings.SplitSeq(s, ",") {
					if kind = strings.TrimSpace(kind); !slices.Contains(api.EventKinds(), kind) {
						return fmt.Errorf("%q is no kind of events", kind)
					}
					o.Events.Kinds = append(o.Events.Kinds, kind)
				}
				return nil
			},
		},
	}
}

// checkEvents refuses kinds of events of which nobody is told.
func checkEvents(o Options) []Problem {
	if o.Events.Command != nil || o.Events.URL != nil ||
		o.values["event-kinds"] == defaultEventKinds {
		return nil
	}
	return []Problem{{Setting: "event-kinds",
		Err: errors.New("nobody is told of events; give --event-command or --event-url")}}
}

func (d *Daemon) newEventHooks(registry prometheus.Registerer) (err error) {
	d.hooks, err = eventhook.New(eventhook.Config{
		Mesh: d.options.MeshName, Kinds: d.options.Events.Kinds,
		Command: d.options.Events.Command, URL: d.options.Events.URL,
		ActsForAll: func() bool { return d.node.ActsForAll() },
		Now:        time.Now, Log: d.log, Registerer: registry,
	})
	return err
}
