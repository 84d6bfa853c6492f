-- Owns who this worker is; written at its start, and `exiting` at its end.
-- id: from 0; count: of workers; prefix: the directory that relative paths start from, with a "/" at its end.
return { id = 0, count = 1, prefix = "./", exiting = false }
