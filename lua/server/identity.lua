-- Owns who this worker is; written at its start, and `exiting` at its end.
-- id: from 0; count: of workers; prefix: the directory that relative paths start from, with a "/" at its end.
-- process: what nginx would call it, "single" (no master), "worker" or "privileged agent" (id -1).
-- listeners: array of {fd, tls, site (what is to answer there, for the application)}.
return { id = 0, count = 1, prefix = "./", process = "single", exiting = false, listeners = {} }
