package httpapitest

import (
	"time"

	"directormesh/cli/api"
	"directormesh/ring"
)

var noon = time.Date(2018, 2, 8, 12, 0, 0, 0, time.UTC)

// historyDirectors are three directors, of which one does not answer.
func historyDirectors() []api.HistoryDirector {
	since := noon.AddDate(0, 0, -7)
	return []api.HistoryDirector{
		{Name: "d1", Since: &since},
		{Name: "d2", Since: &since, Memory: true},
		{Name: "d3", Error: "it cannot be reached"},
	}
}

func sampleMove() api.AdminChange {
	return api.AdminChange{
		At: noon, WallAt: noon, Director: "d1", Who: "uid 0 pid 4711", Door: "director.sock",
		Action: "move",
		Details: []api.ChangeDetail{
			{Name: "backend", Value: "192.0.2.2"}, {Name: "user_hash", Value: "4227319470"},
		},
		TookMS: 42, FailedDirectors: []string{}, NotKept: []string{}, SeenBy: []string{"d1"},
	}
}

func sampleHistory() api.History {
	crashed := noon.Add(-30 * time.Minute)
	return api.History{
		Changes: []api.AdminChange{
			{
				At: noon.Add(-time.Hour), WallAt: noon.Add(-time.Hour), Director: "d3",
				Action: "update", Details: []api.ChangeDetail{
					{Name: "backend", Value: "192.0.2.1"}, {Name: "vhosts", Value: "50"},
				},
				FailedDirectors: []string{}, NotKept: []string{}, SeenBy: []string{"d1", "d2"},
			},
			sampleMove(),
			{
				At: noon.Add(time.Minute), WallAt: noon.Add(time.Minute), Director: "d2",
				Who: "user:alice", From: "192.0.2.77:4711", Door: "http", Action: "down",
				Details: []api.ChangeDetail{{Name: "backend", Value: "192.0.2.9"}},
				TookMS:  1, Error: "doesn't exist", FailedDirectors: []string{"d3"},
				NotKept: []string{}, SeenBy: []string{"d2"},
			},
		},
		Directors: historyDirectors(),
		Lapses: []api.HistoryLapse{{
			Director: "d1", Since: &crashed, Till: crashed.Add(time.Minute),
			Reason: api.LapseCrashed,
		}},
	}
}

func sampleUserHistory(h ring.UserHash, at time.Time) api.UserHistory {
	move := sampleMove()
	since := noon.Add(time.Second)
	moved := api.UserChange{
		At: since, WallAt: since, From: IP("192.0.2.1"), To: IP("192.0.2.2"), Reason: "move",
		By: "d1", Asked: &move, SeenBy: []string{"d1", "d2"},
	}
	history := api.UserHistory{
		UserHash: uint32(h), UserExpireMS: 900_000, Stays: []api.UserStay{},
		Changes: []api.UserChange{
			{
				At: noon.Add(-time.Hour), WallAt: noon.Add(-time.Hour), To: IP("192.0.2.1"),
				Reason: "login", By: "d2", SeenBy: []string{"d2"},
			},
			moved,
		},
		Directors: historyDirectors(), Lapses: []api.HistoryLapse{},
	}
	if !at.IsZero() {
		history.At = &at
		history.Stays = []api.UserStay{{
			Certainty: api.StayThere, Backend: IP("192.0.2.2"), Since: &since, Why: &moved,
		}}
	}
	return history
}
