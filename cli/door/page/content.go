package page

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/phrase"
	"directormesh/ring"
)

// content is what the template shows.
type content struct {
	Self      api.Self
	MayChange bool
	AsOf      string // the clock of the director
	Users     string
	Waits     string // what logins wait for; "": none does
	State     badge
	Findings  []finding // what is not as it should be, the worst first
	Tags      []tagView
	Directors []directorView
	Work      []workView
	Events    []eventView // newest first
	Search    *searchView // nil: nobody asked for a user
	Asked     string      // the user that was asked for
	AskedTag  string
	HasTags   bool   // there are other tags than ""
	Kinds     string // of events at which the page is made anew
}

// badge is a word with a meaning that its look shows too.
type badge struct {
	Text string
	Kind string // good, note, warn or bad
}

// finding is one thing that somebody should know.
type finding struct {
	Kind string // warn or bad
	Text string
}

// The kinds of badges and findings.
const (
	good = "good"
	note = "note"
	warn = "warn"
	bad  = "bad"
)

// tagView is the backends of a tag.
type tagView struct {
	Tag      string
	Users    string
	Backends []backendView
}

// backendView is one backend.
type backendView struct {
	IP, Name, Tag string
	VHosts        int
	State         badge
	Why           string // what is wrong with it
	Users         string
	Share         string  // of the users of its tag
	Target        string  // of the points of its tag on the ring
	Bar, Mark     float64 // share and target, in percent of the largest of the tag
	Off           string  // how far the share is from the target, for who cannot see the bar
	Down, Drained bool
}

// directorView is one director.
type directorView struct {
	Name, Address string
	State         badge
	Users         string
	Ping, Skew    string
	Failed        string // when it last did
}

// workView is a flush, a drain or a rebalance under way.
type workView struct {
	Title   string
	Text    string
	Done    string // share that is done, in percent, for the bar; "": not known
	Kind    string
	Cancels bool   // it can be cancelled
	Backend string // by which that is done; "": all
}

// eventView is one event.
type eventView struct {
	At   string // for machines
	Time string
	Kind string
	Text string
	Look string
}

// searchView is where a user is.
type searchView struct {
	Hash    string
	Text    string
	Hashed  string
	Current string
	Moving  bool
	Mapped  bool
	Pinned  string // "": not pinned
	Expires string
}

// content asks for all that is shown.
func (p *Page) content(user, tag string) *content {
	now := p.cfg.Now()
	self, backends, health := p.cfg.Source.Self(), p.cfg.Source.Backends(), p.cfg.Source.Health()
	directors, flushes := p.cfg.Source.Directors(), p.cfg.Source.Flushes()
	v := &content{
		Self: self, AsOf: now.Format("15:04:05"), Users: number(self.Users),
		Waits: phrase.Waits(self.WaitingFor), Asked: user, AskedTag: tag,
	}
	v.State = stateOf(self)
	v.Findings = findings(self, directors, backends, health)
	v.Tags = tagsOf(backends.Backends, health)
	v.HasTags = len(v.Tags) > 1 || len(v.Tags) == 1 && v.Tags[0].Tag != ""
	for _, d := range directors.Directors {
		v.Directors = append(v.Directors, directorOf(d, self))
	}
	v.Work = workOf(flushes.Flushes, backends.Backends, now)
	v.Kinds = strings.Join(eventKinds(), ",")
	events := p.cfg.Events(api.EventQuery{Last: eventsShown, Kinds: eventKinds()})
	for _, e := range slices.Backward(events) {
		v.Events = append(v.Events, eventOf(e))
	}
	if user != "" {
		v.Search = search(p.cfg.Source, user, tag, now)
	}
	return v
}

func stateOf(self api.Self) badge {
	switch {
	case self.Leaving:
		return badge{"leaving", warn}
	case !self.Synced:
		return badge{"not synced: " + self.Reason, bad}
	case self.Alone:
		return badge{"serves alone: " + self.Reason, warn}
	}
	return badge{"synced", good}
}

func directorOf(d api.Director, self api.Self) directorView {
	row := directorView{
		Name: cmp.Or(d.Name, "-"), Address: fmt.Sprintf("%v port %d", d.IP, d.Port),
		Users: number(int(d.Users)), Ping: "-", Skew: "-", Failed: "-",
	}
	if d.LastFailedAt != nil {
		row.Failed = d.LastFailedAt.Format("2006-01-02 15:04:05")
	}
	if d.PingMS != nil {
		row.Ping = fmt.Sprintf("%.1f ms", *d.PingMS)
	}
	switch {
	case d.Type == api.TypeSelf:
		row.State = stateOf(self)
		row.Name += " (this one)"
	case d.Type == api.TypeRemoved:
		row.State, row.Users = badge{"removed", note}, "-"
	case d.Left:
		row.State, row.Users = badge{"left", note}, "-"
	case !d.Reachable:
		text := "unreachable"
		if d.UnreachableSince != nil {
			text += " since " + d.UnreachableSince.Format("15:04:05")
		}
		row.State = badge{text, bad}
	case d.State == api.StateSynced:
		row.State, row.Skew = badge{d.State, good}, fmt.Sprintf("%+.1f ms", d.SkewMS)
	default:
		row.State = badge{d.State, warn}
	}
	return row
}

func eventOf(e api.Event) eventView {
	look := note
	switch e.Kind {
	case api.KindAlarm, api.KindConflict, api.KindMissed:
		look = warn
	case api.KindHealth:
		if e.What == api.HealthFailed || e.What == api.HealthKept {
			look = bad
		}
	case api.KindPeer:
		if strings.Contains(e.What, "failed") {
			look = bad
		}
	}
	return eventView{
		At: e.At.UTC().Format(time.RFC3339Nano), Time: e.At.Format("15:04:05"), Kind: e.Kind,
		Text: api.Visible(phrase.Event(e)), Look: look,
	}
}

func search(from Source, user, tag string, now time.Time) *searchView {
	u := from.User(ring.Tag(tag), from.Hash(user))
	s := &searchView{
		Hash: strconv.FormatUint(uint64(u.UserHash), 10), Current: "no backend",
		Hashed: "no backend", Moving: u.Moving, Mapped: u.Mapped,
	}
	if u.Current.IsValid() {
		s.Current = u.Current.String()
	}
	if u.Hashed.IsValid() {
		s.Hashed = u.Hashed.String()
	}
	if u.Pinned.IsValid() {
		s.Pinned = u.Pinned.String()
	}
	if u.ExpiresAt != nil {
		s.Expires = duration(u.ExpiresAt.Sub(now))
	}
	return s
}

// number writes a number with blanks between thousands, as people read it.
func number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

// duration writes how long something takes, roughly.
func duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
