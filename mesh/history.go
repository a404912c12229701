package mesh

import (
	"context"
	"fmt"

	"directormesh/directory"
	"directormesh/mesh/history"
	"directormesh/mesh/wire"
	"directormesh/mesh/wording"
	"directormesh/ring"
)

// openHistory opens the history, in the data directory if there is one. What cannot be read there
// is no reason not to serve.
func (n *Node) openHistory() {
	cfg := history.Config{
		FS: n.cfg.Data, Bytes: n.cfg.HistoryBytes, Age: n.cfg.HistoryAge,
		Now: n.noteTime, Changed: n.historyChanged,
	}
	var err error
	n.history, err = history.Open(cfg)
	if err != nil {
		n.log.Error().AnErr("error", wording.Plain(err)).
			Msg("cannot read all of the history in the data directory")
	}
	n.Handle(history.Topic, n.answerHistory)
}

// noteTime is mesh time and wall clock, for notes.
func (n *Node) noteTime() (mesh, wall directory.Time) {
	return n.MeshTime(), directory.Time(n.wall().UnixMilli())
}

// historyChanged reports to the operator how the history does.
func (n *Node) historyChanged(problem error) {
	if problem != nil {
		n.limited("history").Error().AnErr("error", wording.Plain(problem)).
			Msg("the history is not written; trying again")
		return
	}
	n.log.Info().Msg("the history is written again")
}

// closeHistory ends the history, behind all that was noted.
func (n *Node) closeHistory() {
	if n.history == nil || n.core == nil {
		return
	}
	if err := n.history.Close(); err != nil {
		n.log.Error().AnErr("error", wording.Plain(err)).
			Msg("the history lacks what was noted last")
	}
}

// NoteAdmin notes an admin change that was asked for here, and has ended, and tells the other
// directors. It does not wait. The note must not be changed any more.
func (n *Node) NoteAdmin(note *wire.AdminNote) {
	note.Director = n.cfg.Name
	mesh, wall := n.noteTime()
	note.At, note.Wall = mesh-directory.Time(note.Took), wall-directory.Time(note.Took)
	n.history.Add(note)
	n.happening.put(note)
	n.tellChange(note)
}

// History returns how the history does.
func (n *Node) History() history.Status { return n.history.Status() }

// answerHistory answers what a director asks about what is noted here.
func (n *Node) answerHistory(_ context.Context, question []byte) ([]byte, error) {
	m, err := wire.Decode(question)
	if err != nil {
		return nil, err
	}
	q, ok := m.(*wire.HistoryQuery)
	if !ok {
		return nil, fmt.Errorf("a %s is no question about the history", m.Kind())
	}
	found, notes := n.history.Find(*q)
	if q.User {
		found.Rows = n.rowsOf(q.Hash)
	}
	return history.Encode(found, notes, MaxAnswer)
}

// rowsOf returns the live mappings of a user.
func (n *Node) rowsOf(hash ring.UserHash) (rows []wire.Block) {
	for _, tag := range n.dir.Tags() {
		m, status := n.dir.Find(tag, hash, n.MeshTime())
		if status == directory.Live {
			rows = append(rows, wire.Pack(tag, []directory.Mapping{m}))
		}
	}
	return rows
}

// AskHistory asks all directors what they have noted. Failed are the answers of those that did not
// tell.
func (n *Node) AskHistory(
	ctx context.Context, q wire.HistoryQuery,
) (answers []history.Answer, failed []Answer, err error) {
	question, err := wire.Encode(&q)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range n.Ask(ctx, history.Topic, question) {
		told := history.Answer{Director: a.Director}
		if a.Err == nil {
			told.Found, told.Notes, a.Err = history.Decode(a.Body)
		}
		if a.Err != nil {
			failed = append(failed, a)
			continue
		}
		answers = append(answers, told)
	}
	if len(answers) == 0 && n.ctx.Err() != nil {
		return nil, nil, ErrClosed
	}
	return answers, failed, nil
}
