-- Owns what of the exported metrics must outlive the code that exports them: a registry is made once, when a worker
-- starts, and plugin code may be loaded anew at any time. prometheus: the registry, or nil; metrics: by short name.
return { prometheus = nil, metrics = {}, active = false, timer = false }
