"""A database engine whose connections carry the tenant of the request that uses them, as django-tenants' do."""
