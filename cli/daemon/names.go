package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"directormesh/cli/resolve"
	"directormesh/mesh"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// Bounds of how often names are looked up. An address is gone after ten minutes: five answers at
// least should have been without it.
const (
	minResolveEvery = time.Second
	maxResolveEvery = 2 * time.Minute
)

// nameOptions are the names in the list of mail servers.
type nameOptions struct {
	Every time.Duration // how often they are looked up; 0: at the start only
	Names []ring.HostName
	// Unresolved says of the names that could not be looked up at the start why. Empty unless Every
	// is set: then their backends come later, else the settings are wrong.
	Unresolved []string
}

func (o nameOptions) forMesh() replica.NameWatch {
	w := replica.NameWatch{Every: o.Every}
	if o.Every > 0 {
		for _, name := range o.Names {
			w.Names = append(w.Names, watchedName(name))
		}
	}
	return w
}

func watchedName(name ring.HostName) replica.WatchedName {
	return replica.WatchedName{Name: name.Host, Tag: name.Tag}
}

// resolveSetting stands before that of the mail servers, which goes by it.
func resolveSetting() Setting {
	return Setting{
		Name: "resolve-every", Value: "DURATION", Default: "30s",
		Usage: "look names in --mail-servers up again this often, 1s to 2m, and let the backends " +
			"follow what most directors find; 0s looks them up at the start only",
		read: func(o *Options, s string, _ Environment) (err error) {
			o.Names.Every, err = parseDuration(s)
			if err == nil && o.Names.Every != 0 &&
				(o.Names.Every < minResolveEvery || o.Names.Every > maxResolveEvery) {
				err = fmt.Errorf("%s is not in %s to %s, nor 0s", s, minResolveEvery,
					maxResolveEvery)
			}
			return err
		},
	}
}

// readMailServers reads the list of mail servers.
func readMailServers(o *Options, s string, env Environment) (err error) {
	o.Names.Names = ring.HostNames(s)
	lookup := env.Resolve
	if o.Names.Every > 0 {
		given, err := ring.ParseMailServers(s, func(string) ([]ring.Target, error) {
			return nil, ring.ErrLater
		})
		if err != nil {
			return err
		}
		lookup = o.Names.patiently(env.Resolve, given)
		if len(o.Names.Names) > replica.MaxWatchedNames {
			return fmt.Errorf("%d names; the most is %d, or give --resolve-every 0s",
				len(o.Names.Names), replica.MaxWatchedNames)
		}
		for i, name := range o.Names.Names {
			if slices.Contains(o.Names.Names[:i], name) {
				return fmt.Errorf("%q is given twice", name.Host)
			}
		}
	}
	o.Backends, err = ring.ParseMailServers(s, lookup)
	return err
}

// patiently looks names up whose backends may come later. Where name servers do not answer, nobody
// waits for more than one name. What a name has that was given by address, or that another name has
// too, is left out: that is shown when the names are followed, and must not stop a start.
func (o *nameOptions) patiently(
	lookup func(name string) ([]ring.Target, error), given []ring.Backend,
) func(name string) ([]ring.Target, error) {
	silent := ""
	taken := make(map[netip.Addr]bool)
	for _, b := range given {
		taken[b.Addr] = true
	}
	return func(name string) ([]ring.Target, error) {
		var found []ring.Target
		var problem error
		if silent == "" {
			found, problem = lookup(name)
		}
		if onlyUnanswered(problem) {
			silent = problem.Error()
		}
		unclaimed := slices.DeleteFunc(slices.Clone(found), func(t ring.Target) bool {
			addr := t.Addr.Unmap()
			known := taken[addr] || !addr.IsValid() || addr.Zone() != ""
			taken[addr] = true
			return known
		})
		switch {
		case len(unclaimed) > 0:
			return unclaimed, nil
		case len(found) > 0:
			return nil, ring.ErrLater
		case silent != "":
			problem = errors.New(silent)
		case problem == nil:
			problem = resolve.ErrNotFound
		}
		o.Unresolved = append(o.Unresolved, fmt.Sprintf("%q: %v", name, problem))
		return nil, ring.ErrLater
	}
}

// names looks the names of backends up for the mesh; nil if there are none to follow.
type names struct {
	watcher resolve.Watcher
}

func newNames(o Options, node *mesh.Node, resolver resolve.Resolver) *names {
	if o.Names.Every == 0 || len(o.Names.Names) == 0 {
		return nil
	}
	return &names{resolve.Watcher{
		Resolver: resolver, Names: o.Names.Names, Every: o.Names.Every,
		Report: func(name ring.HostName, found []ring.Target, problem string) {
			node.ObserveName(watchedName(name), found, problem)
		},
	}}
}

// run looks up until ctx ends.
func (n *names) run(ctx context.Context, running *sync.WaitGroup) {
	if n != nil {
		running.Go(func() { n.watcher.Run(ctx) })
	}
}
