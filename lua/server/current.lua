-- Owns one table: what runs right now. The scheduler writes it at every resume; everybody reads it.
-- request: the request whose task runs, nil outside requests.  task: the running task.
return { request = nil, task = nil }
