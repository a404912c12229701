package wire

import (
	"net/netip"

	"directormesh/directory"
	"directormesh/ring"
)

// The notes are what a director's history is made of. They are written to disk, and travel in the
// bodies of answers. No note has the name of a user.

// A Note is one of AdminNote, UserNote, LoginsNote, TableNote and LapseNote.
type Note interface {
	Message
	Head() *Noted
}

// Noted is what all notes begin with.
type Noted struct {
	N    uint64         // numbers the notes of a history: each has a higher one than that before
	At   directory.Time // mesh time
	Wall directory.Time // the wall clock of the director that notes it, at the same moment
}

// AdminNote is a change that somebody asked for.
type AdminNote struct {
	Noted           // when it was asked for
	Director string // that was asked
	Who      string // user id and process id, a verified user, or an address
	From     string // address of a verified user
	Door     string // where it was asked for
	Action   string // what was asked for, "update" and the like
	Details  []Detail
	Took     int64    // milliseconds
	Error    string   // why it failed; "": it did not
	Failed   []string // directors that were counted as failed meanwhile
	NotKept  []string // directors that had not kept it on disk when it was answered
}

// Detail says more about an action.
type Detail struct{ Name, Value string }

// UserNote says that a user got another backend.
type UserNote struct {
	Noted
	Tag        ring.Tag
	Hash       ring.UserHash
	From, To   netip.Addr // not valid: none
	Cause      Cause
	By         string         // the director that decided it; "": not known here
	Generation uint16         // of the mapping that has the new backend
	Stamp      directory.Tick // of that mapping
	Flushed    netip.Addr     // CauseFlush: the backend that was flushed; not valid: all
}

// Cause is why a user got another backend.
type Cause uint8

// The causes. One is only known where it was decided; other directors see CauseOther.
const (
	CauseOther     Cause = iota // another director gave the user a later mapping
	CauseMove                   // an operator moved the user
	CauseFlush                  // a flush moved the user to where it hashes
	CauseSession                // a session of the user was found there
	CauseImport                 // the mapping was taken over from a director that is replaced
	CauseConflict               // two directors had decided at once, and one had to give way
	CauseExpired                // the mapping had expired, and the next login went by hash
	CauseForgotten              // the mapping had been forgotten, and the next login went by hash
	CauseRemoved                // the backend had been removed, and the next login went by hash
	CauseFailed                 // the backend had failed when the user logged in
	CauseDrain                  // the backend is drained
	CauseRebalance              // a rebalance moved the user to where it hashes
	CausePin                    // the user is pinned there
)

// LoginsNote has the mappings that a director made for logins of users who had none.
type LoginsNote struct {
	Noted
	Director string
	Block    Block
}

// TableNote says what was new in a change of the table.
type TableNote struct {
	Noted
	Change directory.Change
}

// LapseNote says that from Since until the note was written things may have happened that are not
// noted.
type LapseNote struct {
	Noted
	Since directory.Time // 0: nothing is known of the time before
	Lost  uint64         // notes that are lost; 0: nobody counted
	Why   Lapse
}

// Lapse is why notes are missing.
type Lapse uint8

// The reasons.
const (
	LapseNone    Lapse = iota // none are missing: the director ran and had nothing to note
	LapseBegun                // the history begins
	LapseStopped              // the director was stopped
	LapseCrashed              // the director ended without a word; its last notes may be lost
	LapseLost                 // the disk failed, or did not keep up
)

// HistoryQuery is what is asked of a director's history.
type HistoryQuery struct {
	User  bool // about one user, else about admin changes
	Hash  ring.UserHash
	Since directory.Time // 0: from the beginning
	Until directory.Time // 0: to now
	Limit uint32         // notes of each kind, the newest; 0: as many as there may be
}

// HistoryFound begins the answer to a HistoryQuery; the notes follow, oldest first.
type HistoryFound struct {
	Since   directory.Time // since when this director knows
	More    bool           // older notes are left out
	Memory  bool           // nothing of it is on disk
	Problem string         // why not all that is on disk could be read
	Rows    []Block        // the present mappings of the user
}

// Head returns the beginning of a note.
func (m *Noted) Head() *Noted { return m }

const (
	maxDetails = 64
	minDetail  = 1 + 1 + 1
	noted      = 3 // fields of Noted
)

func (m *Noted) encode(w *writer) {
	w.uint(m.N)
	w.int(int64(m.At))
	w.int(int64(m.Wall))
}

func (m *Noted) decode(r *reader) {
	m.N = r.uint64("number")
	m.At = directory.Time(r.int("mesh time"))
	m.Wall = directory.Time(r.int("wall clock"))
}

func (m *AdminNote) encode(w *writer) {
	w.array(noted + 10)
	m.Noted.encode(w)
	w.name("director name", m.Director)
	w.remark(m.Who)
	w.remark(m.From)
	w.remark(m.Door)
	w.remark(m.Action)
	w.list("details", len(m.Details), maxDetails)
	for _, d := range m.Details {
		w.array(2)
		w.remark(d.Name)
		w.remark(d.Value)
	}
	w.int(m.Took)
	w.remark(m.Error)
	encodeNames(w, m.Failed)
	encodeNames(w, m.NotKept)
}

func (m *AdminNote) decode(r *reader) {
	extra := r.fields("message", noted+10)
	m.Noted.decode(r)
	m.Director = r.name("director name")
	m.Who = r.remark("who")
	m.From = r.remark("from")
	m.Door = r.remark("door")
	m.Action = r.remark("action")
	m.Details = list(r, "details", maxDetails, minDetail, func(r *reader) (d Detail) {
		extra := r.fields("detail", 2)
		d.Name = r.remark("name of a detail")
		d.Value = r.remark("detail")
		r.end("detail", extra)
		return d
	})
	m.Took = r.int("took")
	m.Error = r.remark("error")
	m.Failed = decodeNames(r)
	m.NotKept = decodeNames(r)
	r.end("message", extra)
}

func encodeNames(w *writer, names []string) {
	w.list("directors", len(names), MaxDirectors)
	for _, name := range names {
		w.name("director name", name)
	}
}

func decodeNames(r *reader) []string {
	return list(r, "directors", MaxDirectors, 1, func(r *reader) string {
		return r.name("director name")
	})
}

func (m *UserNote) encode(w *writer) {
	w.array(noted + 9)
	m.Noted.encode(w)
	w.name("tag", string(m.Tag))
	w.uint(uint64(m.Hash))
	w.addr("backend before", m.From, optional)
	w.addr("backend", m.To, optional)
	w.uint(uint64(m.Cause))
	w.name("director name", m.By)
	w.uint(uint64(m.Generation))
	w.uint(uint64(m.Stamp))
	w.addr("flushed backend", m.Flushed, optional)
}

func (m *UserNote) decode(r *reader) {
	extra := r.fields("message", noted+9)
	m.Noted.decode(r)
	m.Tag = ring.Tag(r.name("tag"))
	m.Hash = ring.UserHash(r.uint32("user hash"))
	m.From = r.addr("backend before", optional)
	m.To = r.addr("backend", optional)
	m.Cause = Cause(r.uint8("cause"))
	m.By = r.name("director name")
	m.Generation = r.uint16("generation")
	m.Stamp = directory.Tick(r.uint32("stamp"))
	m.Flushed = r.addr("flushed backend", optional)
	r.end("message", extra)
}

func (m *LoginsNote) encode(w *writer) {
	w.array(noted + 2)
	m.Noted.encode(w)
	w.name("director name", m.Director)
	m.Block.encode(w)
}

func (m *LoginsNote) decode(r *reader) {
	extra := r.fields("message", noted+2)
	m.Noted.decode(r)
	m.Director = r.name("director name")
	m.Block = decodeBlock(r)
	r.end("message", extra)
}

func (m *TableNote) encode(w *writer) {
	w.array(noted + 1)
	m.Noted.encode(w)
	encodeChange(w, &m.Change)
}

func (m *TableNote) decode(r *reader) {
	extra := r.fields("message", noted+1)
	m.Noted.decode(r)
	m.Change = decodeChange(r)
	r.end("message", extra)
}

func (m *LapseNote) encode(w *writer) {
	w.array(noted + 3)
	m.Noted.encode(w)
	w.int(int64(m.Since))
	w.uint(m.Lost)
	w.uint(uint64(m.Why))
}

func (m *LapseNote) decode(r *reader) {
	extra := r.fields("message", noted+3)
	m.Noted.decode(r)
	m.Since = directory.Time(r.int("since"))
	m.Lost = r.uint64("lost")
	m.Why = Lapse(r.uint8("why"))
	r.end("message", extra)
}

func (m *HistoryQuery) encode(w *writer) {
	w.array(5)
	w.bool(m.User)
	w.uint(uint64(m.Hash))
	w.int(int64(m.Since))
	w.int(int64(m.Until))
	w.uint(uint64(m.Limit))
}

func (m *HistoryQuery) decode(r *reader) {
	extra := r.fields("message", 5)
	m.User = r.bool("user")
	m.Hash = ring.UserHash(r.uint32("user hash"))
	m.Since = directory.Time(r.int("since"))
	m.Until = directory.Time(r.int("until"))
	m.Limit = r.uint32("limit")
	r.end("message", extra)
}

func (m *HistoryFound) encode(w *writer) {
	w.array(5)
	w.int(int64(m.Since))
	w.bool(m.More)
	w.bool(m.Memory)
	w.remark(m.Problem)
	encodeBlocks(w, m.Rows)
}

func (m *HistoryFound) decode(r *reader) {
	extra := r.fields("message", 5)
	m.Since = directory.Time(r.int("since"))
	m.More = r.bool("more")
	m.Memory = r.bool("memory")
	m.Problem = r.remark("problem")
	m.Rows = decodeBlocks(r)
	r.end("message", extra)
}
