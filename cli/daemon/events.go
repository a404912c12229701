package daemon

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/api"
	"directormesh/cli/feed"
	"directormesh/mesh/event"
	"directormesh/mesh/history"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// newFeed returns what watchers read, with its metrics.
func newFeed(o Options, registry prometheus.Registerer) (*feed.Feed, error) {
	f := feed.New(feed.Config{Director: o.NodeName, Life: rand.Uint64(), Now: time.Now})
	for _, c := range []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "director_event_watchers", Help: "Clients that read the events.",
		}, func() float64 { readers, _ := f.Status(); return float64(readers) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "director_events_missed_total",
			Help: "Events that clients did not get since they read too slowly.",
		}, func() float64 { _, missed := f.Status(); return float64(missed) }),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return f, nil
}

// happened tells watchers and hooks what happens. It does not wait.
func (d *Daemon) happened(events []event.Event) {
	shown := make([]api.Event, len(events))
	for i, e := range events {
		shown[i] = shownEvent(e)
		shown[i].Director = d.options.NodeName
	}
	d.feed.Add(shown)
	d.hooks.Happened(shown)
}

// shownEvent says an event in the words of the API.
func shownEvent(e event.Event) api.Event {
	out := api.Event{At: wallTime(e.At), WallAt: wallTime(e.Wall)}
	of := func(tag ring.Tag, backend netip.Addr) {
		text := string(tag)
		out.Tag, out.Backend = &text, &api.IP{Addr: backend}
	}
	switch {
	case e.Admin != nil:
		change := adminChange(history.Event{
			Admin: e.Admin, At: e.Admin.At, Wall: e.Admin.Wall, Seen: []string{e.Admin.Director},
		})
		out.Kind, out.What, out.Asked = api.KindChange, e.Admin.Action, &change
	case e.Table != nil:
		showTableEvent(&out, *e.Table)
	case e.Moved != nil:
		m := e.Moved
		tag := string(m.Tag)
		out.Kind, out.What, out.By = api.KindMoved, string(history.ReasonOf(m.Cause)), m.By
		if m.Cause == wire.CauseConflict {
			out.Kind = api.KindConflict
		}
		out.Tag, out.From, out.To = &tag, &api.IP{Addr: m.From}, &api.IP{Addr: m.To}
		for _, h := range m.Users {
			out.UserHashes = append(out.UserHashes, uint32(h))
		}
	case e.Peer != nil:
		out.Kind, out.What, out.Peer = api.KindPeer, string(e.Peer.What), e.Peer.Name
		out.IP, out.Port = &api.IP{Addr: e.Peer.Addr.Addr()}, int(e.Peer.Addr.Port())
	case e.Self != nil:
		out.Kind, out.What, out.Reason = api.KindDirector, api.EventSynced, e.Self.Reason
		switch {
		case !e.Self.Synced:
			out.What = api.EventNotSynced
		case e.Self.Alone:
			out.What = api.EventAlone
		}
	case e.Health != nil:
		out.Kind, out.What, out.Was = api.KindHealth, e.Health.Is, e.Health.Was
		out.Reason = api.Visible(e.Health.Reason)
		of(e.Health.Tag, e.Health.Backend)
	case e.Alarm != nil:
		tag := string(e.Alarm.Tag)
		out.Kind, out.What, out.Tag = api.KindAlarm, begun(!e.Alarm.Over), &tag
		out.Failing, out.Most = &e.Alarm.Failing, &e.Alarm.Most
	case e.Flush != nil:
		f := e.Flush
		out.Kind, out.What, out.By = api.KindFlush, string(f.What), f.Director
		out.Backend = &api.IP{Addr: f.Backend}
		out.Flush = &api.FlushEvent{
			Director: f.Director, ID: f.ID, Runner: f.Runner, Moved: f.Moved, Failed: f.Failed,
		}
	case e.Done != nil:
		out.Kind, out.What = api.KindDrain, api.EventDone
		of(e.Done.Tag, e.Done.Backend)
	case e.Keys != nil:
		out.Kind, out.What = api.KindKeys, string(e.Keys.What)
		out.Key, out.By = e.Keys.ID, e.Keys.By
	default:
		out.Kind, out.What, out.Missed = api.KindMissed, api.MissedLost, &e.Lost
	}
	return out
}

func begun(on bool) string {
	if on {
		return api.EventBegun
	}
	return api.EventEnded
}

func showTableEvent(out *api.Event, t history.TableEvent) {
	out.Kind, out.What, out.By = api.KindTable, string(t.What), t.Origin
	if t.Director.IsValid() {
		out.What = "ring " + out.What
		out.IP, out.Port = &api.IP{Addr: t.Director.Addr()}, int(t.Director.Port())
		return
	}
	out.Backend = &api.IP{Addr: t.Backend}
	switch t.What {
	case history.TableAdded:
		tag := string(t.Tag)
		out.Tag = &tag
	case history.TableVHosts:
		out.VHosts = &t.VHosts
	case history.TableFactor, history.TableStart:
		out.Percent = &t.Percent
	case history.TablePinned, history.TableUnpinned:
		tag := string(t.User.Tag)
		out.Tag, out.UserHashes = &tag, []uint32{uint32(t.User.Hash)}
		if !t.Backend.IsValid() {
			out.Backend = nil
		}
	case history.TableDrain, history.TableUndrain:
		out.Kind, out.What = api.KindDrain, begun(t.What == history.TableDrain)
	case history.TableRebalance:
		out.Kind, out.What = api.KindRebalance, api.EventBegun
	case history.TableSettled:
		out.Kind, out.What = api.KindRebalance, api.EventDone
	}
}
