// Package backup tells how each job that saves data of a host stands: when it
// ran, when it last went well, which snapshot is the newest, and whether that
// is recent enough.
//
// Several sources tell, and each is named in what comes out: systemd's units
// and timers, which cost nothing and need no credentials; the journal, which
// also knows runs before the last boot; the host's own backup-status; and the
// repositories, asked through the host's own wrappers. Credentials stay on the
// host: no environment and no file of a job is ever read.
//
// "The unit went well" and "the newest snapshot is from" are two facts and are
// kept apart. What cannot be told is unknown, never fresh.
package backup
