package daemon

import (
	"errors"
	"time"

	"directormesh/cli/api"
	"directormesh/directory"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
)

// neverExpires is longer than any user expire time: what is in a data directory is to be shown.
const neverExpires = 100 * 365 * 24 * time.Hour

// InspectData says what is in a data directory, and changes nothing.
func InspectData(path string) (api.DataContents, error) {
	d, err := store.ExistingDir(path)
	if err != nil {
		return api.DataContents{}, err
	}
	found, err := store.Inspect(d)
	if err != nil {
		return api.DataContents{}, err
	}
	shown := api.DataContents{
		Director: found.Identity.Director, Mesh: found.Identity.Mesh, InUse: inUse(d),
		Files: found.Files, Bytes: found.Bytes, Torn: found.Torn,
		Damaged: listed(found.Damaged), LaterFormat: listed(found.Later),
		LeftOut: listed(found.LeftOut), Live: []string{}, Backends: []api.DataBackend{},
		Pins: []api.Pin{},
	}
	if m := found.Mark; m != nil {
		shown.MeshID = m.Mesh.ID.String()
		shown.MeshAgeMS = m.Mesh.Age
		shown.KeptAt = moment(m.MeshTime.Time())
		if m.Whole != 0 {
			shown.WholeAt = moment(m.Whole)
		}
		for _, p := range m.Live {
			shown.Live = append(shown.Live, p.Name)
		}
	}
	return shown, countData(found, &shown)
}

// countData adds the backends, and how many users each has.
func countData(found *store.Contents, shown *api.DataContents) error {
	table := directory.NewTable(0, "inspect", nil)
	if found.Mark != nil {
		table.Join(found.Mark.Mesh.ID)
	}
	unknown, err := found.Each(func(k wire.Kind) bool { return k != wire.KindRows },
		func(m wire.Message) {
			if t, ok := m.(*wire.Table); ok {
				table.Merge(t.Change)
			}
		})
	if err != nil {
		return err
	}
	shown.Unknown = unknown
	rows := directory.New(neverExpires)
	rows.SetBackends(table.Snapshot().Backends)
	_, err = found.Each(func(k wire.Kind) bool { return k == wire.KindRows },
		func(m wire.Message) {
			for _, b := range m.(*wire.Rows).Blocks {
				rows.Merge(b.Tag, b.Append(nil), directory.FirstTime, nil)
			}
		})
	for _, b := range table.Backends() {
		users := rows.Users(b.Addr)
		row, _ := table.Row(b.Addr)
		shown.Users += users
		shown.Backends = append(shown.Backends, api.DataBackend{
			IP: api.IP{Addr: b.Addr}, Tag: string(b.Tag), VHosts: b.VHosts, Down: b.Down,
			Users: users, SlowStart: inspectedStart(row.Start.Value),
		})
	}
	for _, p := range table.Pins() {
		shown.Pins = append(shown.Pins, api.Pin{
			UserHash: uint32(p.User.Hash), Tag: string(p.User.Tag),
			Backend: api.IP{Addr: p.Backend.Value}, Since: wallTime(p.Backend.Stamp.Time()),
			Counts: table.PinCounts(p.User),
		})
	}
	return err
}

// inUse reports whether a process has locked a directory.
func inUse(d store.FS) bool {
	lock, err := d.Lock()
	if err != nil {
		return errors.Is(err, store.ErrLocked)
	}
	_ = lock.Close() // nothing was written
	return false
}

func listed(names []string) []string { return append([]string{}, names...) }

func moment(t directory.Time) *time.Time {
	at := time.UnixMilli(int64(t)).UTC()
	return &at
}
