package vacant

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/cli/dovecot"
	"directormesh/ring"
)

var addr = netip.MustParseAddr("192.0.2.1")

// fake is backends whose sessions end at moments of a test.
type fake struct {
	began time.Time
	mu    sync.Mutex
	ends  map[string]time.Duration // when the session of a login ends
	kicks map[string]time.Duration // after a kick it ends then; not there: it changes nothing
	err   func(at time.Duration) error
	hangs bool
	lists int
	said  []string // kicks
}

func (f *fake) List(ctx context.Context, backend netip.Addr) ([]dovecot.Connection, error) {
	if f.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if !sleep(ctx, 10*time.Millisecond) {
		return nil, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	at := time.Since(f.began)
	if f.err != nil {
		if err := f.err(at); err != nil {
			return nil, err
		}
	}
	var left []dovecot.Connection
	for login, end := range f.ends {
		if at < end {
			left = append(left, dovecot.Connection{User: login, Backend: backend})
		}
	}
	return left, nil
}

func (f *fake) Kick(_ context.Context, _ netip.Addr, user string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, user)
	if after, ok := f.kicks[user]; ok {
		f.ends[user] = min(f.ends[user], time.Since(f.began)+after)
	}
	return nil
}

func hash(login string) ring.UserHash {
	format, err := ring.ParseHashFormat("%Lu")
	if err != nil {
		panic(err)
	}
	return format.Hash(login)
}

// start returns backends of a fake, and what was reported of them.
func start(t *testing.T, f *fake) (b *Backends, reports *[]error) {
	t.Helper()
	f.began, reports = time.Now(), new([]error)
	b = New(f, hash, func(_ netip.Addr, err error) { *reports = append(*reports, err) })
	t.Cleanup(b.Close)
	return b, reports
}

const never = time.Hour

func TestWait(t *testing.T) {
	refused := errors.New("connection refused")
	for _, test := range []struct {
		name  string
		fake  *fake
		want  bool
		least time.Duration
		most  time.Duration
		kicks []string
	}{
		{name: "nothing there", fake: &fake{}, want: true, most: 20 * time.Millisecond},
		{name: "others only", fake: &fake{ends: map[string]time.Duration{"alice": never}},
			want: true, most: 20 * time.Millisecond},
		{name: "ends by itself", fake: &fake{ends: map[string]time.Duration{"bob": 25e6}},
			want: true, least: 25 * time.Millisecond, most: 70 * time.Millisecond},
		{name: "ends when it is kicked", fake: &fake{
			ends:  map[string]time.Duration{"Bob": never},
			kicks: map[string]time.Duration{"Bob": 20 * time.Millisecond},
		}, want: true, most: 200 * time.Millisecond, kicks: []string{"Bob"}},
		{name: "takes ten seconds", fake: &fake{ends: map[string]time.Duration{"bob": 10e9}},
			want: true, least: 10 * time.Second, most: 11 * time.Second},
		{name: "never ends", fake: &fake{ends: map[string]time.Duration{"bob": never}},
			least: 20 * time.Second, most: 20 * time.Second},
		{name: "cannot be asked",
			fake: &fake{err: func(time.Duration) error { return refused }},
			most: 20 * time.Millisecond},
		{name: "hangs", fake: &fake{hangs: true}, least: 2 * time.Second, most: 2 * time.Second},
		{name: "can be asked again", fake: &fake{
			ends: map[string]time.Duration{"bob": 30e6},
			err: func(at time.Duration) error {
				if at > 20*time.Millisecond && at < 3*time.Second {
					return refused
				}
				return nil
			},
		}, want: true, least: 3 * time.Second, most: 4 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _ := start(t, test.fake)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				got := b.Wait(ctx, addr, hash("bob"), 2*time.Second)
				took := time.Since(test.fake.began)
				if got != test.want || took < test.least || took > test.most {
					t.Errorf("vacant %v after %v, want %v between %v and %v", got, took, test.want,
						test.least, test.most)
				}
				said := slices.Compact(test.fake.said)
				if test.kicks != nil && !slices.Equal(said, test.kicks) {
					t.Errorf("kicked %q, want %q", said, test.kicks)
				}
			})
		})
	}
}

// Ten thousand users of one backend cost a few lists.
func TestListsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{ends: map[string]time.Duration{"x": never}}
		b, _ := start(t, f)
		var all sync.WaitGroup
		for i := range 10_000 {
			all.Go(func() {
				if !b.Wait(t.Context(), addr, ring.UserHash(i), time.Second) {
					t.Errorf("user %d is not known to be gone", i)
				}
			})
		}
		all.Wait()
		if f.lists > 3 {
			t.Errorf("%d lists", f.lists)
		}
	})
}

// A backend that cannot be asked is left alone for a while, and that is told once a minute.
func TestBackendThatCannotBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{err: func(time.Duration) error { return errors.New("refused") }}
		b, reports := start(t, f)
		for range 200 {
			began := time.Now()
			if b.Wait(t.Context(), addr, 1, time.Second) {
				t.Fatal("vacant, though nobody said so")
			}
			if took := time.Since(began); took > 20*time.Millisecond {
				t.Fatalf("took %v", took)
			}
			time.Sleep(500 * time.Millisecond)
		}
		if f.lists < 15 || f.lists > 22 {
			t.Errorf("asked %d times in 100 s", f.lists)
		}
		if len(*reports) != 2 {
			t.Errorf("%d reports: %v", len(*reports), *reports)
		}
		f.err = nil
		time.Sleep(spared)
		if !b.Wait(t.Context(), addr, 1, time.Second) {
			t.Error("not vacant although it can be asked again")
		}
		b.Close()
		if b.Wait(t.Context(), addr, 1, time.Second) {
			t.Error("vacant after Close")
		}
	})
}
