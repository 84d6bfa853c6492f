-- Owns which Python hooks have implementations: wanted[name]. Written at the worker's start, before anything that
-- looks is loaded, so that what nobody implements is not even asked for.
return { wanted = {} }
