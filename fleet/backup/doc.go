// Package backup tells how each job that saves data of a host stands: when it
// ran, when it last went well, which snapshot is the newest, and whether that
// is recent enough.
//
// Several sources tell, and each is named in what comes out: systemd's units
// and timers, which cost nothing and need no credentials; the journal, which
// also knows runs before the last boot; the host's own backup-status; and the
// repositories, asked through the host's own wrappers. Credentials stay on the
// host: no environment of a job is ever read, and of its files only what says
// which data it saves.
//
// Several jobs of a host may save into one repository. A snapshot counts for
// the job whose command or profile it fits by label, tags and paths; where that
// cannot be told, the repository tells nothing of the job.
//
// "The unit went well" and "the newest snapshot is from" are two facts and are
// kept apart. What cannot be told is unknown, never fresh.
package backup
